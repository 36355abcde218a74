/** Constants outside any sensible range, and texts that do not fit where they go. */

import assert from "node:assert/strict";
import { problemsOf } from "./loading.ts";

const REFUSED: readonly (readonly [text: string, message: RegExp])[] = [
  ["session.rcpt.max-recipients = -1", /expected an integer of at least 1, found -1$/],
  ["session.rcpt.max-recipients = 0", /of at least 1, found 0$/],
  ["session.rcpt.errors.total = 0", /of at least 1/],
  ["session.auth.errors.total = 0", /of at least 1/],
  ["session.data.limits.messages = 0", /of at least 1/],
  ["session.data.limits.received-headers = 0", /of at least 1/],
  ["session.data.limits.size = 0", /expected a size in bytes .* of at least 1, found 0$/],
  ["session.transfer-limit = 0", /of at least 1/],
  ['session.duration = "0s"', /expected a duration .* of at least 1ms, found '0s'/],
  ['session.timeout = "0s"', /of at least 1ms/],
  ['session.extensions.future-release = "10ms"', /of at least 1s/],
  ['session.extensions.deliver-by = "20000d"', /of at most 999999999s/],
  ['session.timeout = [{ if = "is_tls", then = "5m" }, { else = 0 }]', /of at least 1ms/],
  ['server.tls.timeout = "0s"', /expected a duration .*, longer than 0, found "0s"$/],
  ['server.auto-ban.expire = "0s"', /longer than 0, or false, found "0s"$/],
  ['store.x = { type = "sqlite", path = "x.db", timeout = 0 }', /longer than 0, found 0$/],
  ['server.listener.a = { bind = "[::]:25", protocol = "smtp", greeting = "hi\\r\\n250 x" }', /of one line/],
  [
    `report.dsn.from-address = "'postmaster'"`,
    /expected an address such as postmaster@example\.net, found 'postmaster'/,
  ],
  [`report.dmarc.from-address = "'a b'"`, /expected an address/],
  ["report.dmarc.aggregate.max-size = 0", /of at least 1, found 0$/],
  ["report.tls.aggregate.max-size = 0", /of at least 1, found 0$/],
  [`report.tls.aggregate.from-address = "'postmaster'"`, /expected an address/],
  [`session.connect.greeting = "'hi' + '\\n' + '250 x'"`, /of one line without control characters/],
  [`session.auth.mechanisms = "is_tls && ['plain']"`, /expected one of plain, .*: this expression gives only true or/],
  [`session.auth.mechanisms = "is_tls"`, /gives only true or false/],
  [`session.auth.directory = "!is_tls"`, /gives only true or false/],
  [`session.extensions.mt-priority = "local_port == 587"`, /gives only true or false/],
  [`session.rcpt.max-recipients = "is_tls || 50"`, /gives only true or false/],
  [`session.duration = "if_then(is_tls, is_empty(helo_domain), local_port == 25)"`, /gives only true or false/],
];

for (const [text, message] of REFUSED) {
  Deno.test(`refused at load: ${text.slice(0, 80)}`, () => {
    const problems = problemsOf(text).filter((problem) => !problem.includes("warning"));
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", message);
  });
}

Deno.test("what may be nothing, or choose with a condition, is taken", () => {
  for (
    const text of [
      'session.rcpt.errors.wait = "0s"',
      'session.auth.errors.wait = "0s"',
      `session.auth.mechanisms = "if_then(is_tls, ['plain'], false)"`,
      `session.auth.mechanisms = [{ if = "is_tls", then = "['plain']" }, { else = false }]`,
      "session.extensions.future-release = false",
      'session.extensions.future-release = "1s"',
      "server.auto-ban.expire = false",
      `session.connect.greeting = "'ESMTP ' + if_then(is_tls, 'safe', 'open')"`,
      `session.mail.is-allowed = "is_tls && sender != ''"`,
    ]
  ) assert.deepEqual(problemsOf(text).filter((problem) => !problem.includes("warning")), [], text);
});
