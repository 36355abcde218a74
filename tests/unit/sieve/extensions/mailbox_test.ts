/** Mailboxes and their annotations (RFC 5490), and what scripts log for those who look for errors. */

import assert from "node:assert/strict";
import { compileScript } from "../../../../src/sieve/mod.ts";
import { holds, run } from "../script.ts";

const before = 'require ["mailbox", "mboxmetadata", "servermetadata", "fileinto"];';
const VALUES: Readonly<Record<string, string>> = {
  "INBOX /private/vendor/x/replies": "on",
  " /shared/motd": "Hello",
  " /private/empty": "",
};
const options = {
  before,
  host: {
    metadata: (mailbox: string | undefined, entry: string) => Promise.resolve(VALUES[`${mailbox ?? ""} ${entry}`]),
    mailboxExists: (name: string) => ["INBOX", "Partners"].includes(name),
  },
};

Deno.test("annotations of a mailbox and of the server are compared, and those that are not there match nothing", async () => {
  assert.equal(await holds('metadata :is "INBOX" "/private/vendor/x/replies" "ON"', options), true);
  assert.equal(await holds('metadata :matches "INBOX" "/private/other" "*"', options), false);
  assert.equal(await holds('metadata :matches "Partners" "/private/vendor/x/replies" "*"', options), false);
  assert.equal(await holds('servermetadata :contains "/shared/motd" "ell"', options), true);
  assert.equal(await holds('servermetadata :is "/private/empty" ""', options), true);
  assert.equal(await holds('servermetadata :contains "/shared/other" ""', options), false);
});

Deno.test("all annotations that are named have to be there", async () => {
  assert.equal(await holds('metadataexists "INBOX" ["/private/vendor/x/replies"]', options), true);
  assert.equal(await holds('metadataexists "INBOX" ["/private/vendor/x/replies", "/private/y"]', options), false);
  assert.equal(await holds('servermetadataexists ["/shared/motd", "/private/empty"]', options), true);
  assert.equal(await holds('servermetadataexists ["/shared/motd", "/shared/other"]', options), false);
});

Deno.test("all mailboxes that are named have to be there", async () => {
  assert.equal(await holds('mailboxexists ["INBOX", "Partners"]', options), true);
  assert.equal(await holds('mailboxexists ["INBOX", "Friends"]', options), false);
});

Deno.test("where nothing is known of mailboxes there are none", async () => {
  for (
    const test of [
      'mailboxexists "INBOX"',
      'metadata :contains "INBOX" "/private/x" ""',
      'metadataexists "INBOX" "/private/x"',
      'servermetadata :contains "/private/x" ""',
      'servermetadataexists "/private/x"',
    ]
  ) assert.equal(await holds(test, { before }), false, test);
});

Deno.test("names that no annotation has are warned of", () => {
  for (const name of ["x", "/x/", "/private//x", "/other/x", "/private/*", "/private/ü"]) {
    const { script, problems } = compileScript(`${before} if servermetadataexists "${name}" {}`);
    assert.ok(script !== undefined);
    assert.match(problems[0]?.message ?? "", /is not the name of an annotation/, name);
  }
});

Deno.test("a script may write to the log", async () => {
  const log: string[] = [];
  const script = 'require ["vnd.dovecot.debug", "variables"]; set "a" "x"; debug_log "it is ${a}";';
  await run(script, { host: { log: (text) => void log.push(text) } });
  assert.equal(log.length, 1);
  assert.match(log[0] ?? "", /it is x$/);
});
