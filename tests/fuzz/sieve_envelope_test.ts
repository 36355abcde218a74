/** Whatever a script may put into the envelope can be said to the next server, and means the same there. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { FilteredTransaction } from "../../src/filter/mod.ts";
import { envelopeChanges, envelopeOf } from "../../src/filter/sieve/envelope.ts";
import { modify } from "../../src/filter/modify.ts";
import { compileScript, runScript, SERVER_NAMESPACES, sieveMessage } from "../../src/sieve/mod.ts";
import {
  EVERYTHING_OFFERED,
  formatMailCommand,
  formatRcptCommand,
  NO_EXTENSIONS,
  parseCommand,
  readMailParameters,
  readRcptParameters,
} from "../../src/smtp/mod.ts";
import { runs } from "../support/fuzz_runs.ts";

const NOW = Date.UTC(2026, 0, 5);
const PEER = { ...NO_EXTENSIONS, dsn: true, deliverBy: true, smtputf8: true, eightBitMime: true };

const NAMES = ["from", "to", "notify", "orcpt", "ret", "envid"]
  .concat(["by_time_absolute", "by_time_relative", "by_mode", "by_trace"]);

/** Values that are nearly right more often than chance would make them. */
const value = fc.oneof(
  fc.constantFrom("", "NEVER", "success,delay", "FULL", "hdrs", "N", "return", "true", "-5", "600", "99999999999"),
  fc.constantFrom("2026-01-05T00:10:00Z", "1767571800", "2026-13-99T00:00:00Z", "a@b.example", "<a@b.example>"),
  fc.tuple(fc.constantFrom("rfc822", "utf-8", "x"), fc.string({ unit: "grapheme", maxLength: 20 })).map((two) =>
    two.join(";")
  ),
  fc.tuple(fc.string({ maxLength: 8 }), fc.string({ unit: "grapheme", maxLength: 8 })).map((two) => two.join("@")),
  fc.string({ unit: "grapheme", maxLength: 120 }),
);

const GIVEN: FilteredTransaction = {
  sender: "first@sender.example",
  parameters: { body: "8bitmime" },
  recipients: [{ address: "other@rcpt.example", parameters: {} }, { address: "last@rcpt.example", parameters: {} }],
};

const NAMED = new Map(
  NAMES.map((name) => {
    const { script } = compileScript(`set "envelope.${name}" "\${global.value}";`, {
      noCapabilityCheck: true,
      namespaces: {
        ...SERVER_NAMESPACES,
        global: { read: (run) => run.host.environment?.("value") ?? "" },
      },
    });
    assert.ok(script);
    return [name, script];
  }),
);

/** Sets variables one after the other; those that do not take their value are passed over. */
function setAll(settings: readonly (readonly [string, string])[]) {
  const before = envelopeOf(GIVEN, "", NOW);
  let after = before;
  for (const [name, text] of settings) {
    const script = NAMED.get(name);
    assert.ok(script);
    const host = { now: () => NOW, environment: () => text };
    const outcome = runScript(script, { message: sieveMessage(new Uint8Array(0)), envelope: after, host });
    assert.ok(!(outcome instanceof Promise));
    if (outcome.error === undefined) after = outcome.envelope;
  }
  return modify(GIVEN, envelopeChanges(GIVEN, before, after, NOW).modifications);
}

function parsed(line: string) {
  const result = parseCommand(new TextEncoder().encode(line));
  assert.ok(result.kind === "command" && "path" in result.command, line);
  return result.command;
}

Deno.test("an envelope that scripts have made is one that the next server understands", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...NAMES), value), { maxLength: 6 }), (settings) => {
      const { transaction, problems } = setAll(settings);
      assert.deepEqual(problems, []);
      const mail = parsed(formatMailCommand(transaction.sender, transaction.parameters, PEER, 0));
      assert.equal(mail.path, transaction.sender);
      assert.deepEqual(readMailParameters(mail.parameters, EVERYTHING_OFFERED), {
        kind: "parameters",
        parameters: transaction.parameters,
      });
      for (const { address, parameters } of transaction.recipients) {
        const rcpt = parsed(formatRcptCommand(address, parameters, PEER));
        assert.equal(rcpt.path, address);
        assert.deepEqual(readRcptParameters(rcpt.parameters, EVERYTHING_OFFERED), { kind: "parameters", parameters });
      }
    }),
    { numRuns: runs(500) },
  );
});
