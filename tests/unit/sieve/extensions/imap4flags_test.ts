/** Flags (RFC 5232). */

import assert from "node:assert/strict";
import { errorsOf, run } from "../script.ts";

const REQUIRE = 'require ["imap4flags", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];';

/** Flags of the last action, or of the implicit keep. */
async function flags(script: string): Promise<readonly string[] | undefined> {
  const outcome = await run(`${REQUIRE} ${script}`);
  assert.equal(outcome.error, undefined);
  const action = outcome.implicitKeep ?? outcome.actions.at(-1);
  assert.ok(action?.kind === "keep" || action?.kind === "store");
  return action.flags;
}

const holdsFlags = async (before: string, test: string) =>
  (await run(`${REQUIRE} ${before} if ${test} { discard; }`)).actions.length === 1;

Deno.test("flags are set, added and removed, without case, blanks and repetition", async () => {
  assert.deepEqual(await flags('setflag "a b"; setflag ["\\\\Seen", "C  d "];'), ["\\Seen", "C", "d"]);
  assert.deepEqual(await flags('addflag "A"; addflag ["b", "a"]; addflag "";'), ["A", "b"]);
  assert.deepEqual(await flags('setflag ["\\\\Answered", "A", "B"]; removeflag ["a", "\\\\answered x"];'), ["B"]);
  assert.deepEqual(await flags('setflag "A"; setflag "";'), []);
});

Deno.test("what no server takes for a flag is left out", async () => {
  assert.deepEqual(await flags('setflag ["\\\\Recent", "\\\\Odd", "grün", "(x)", "$Junk", "\\\\Deleted"];'), [
    "$Junk",
    "\\Deleted",
  ]);
});

Deno.test("variables hold flags as one text, and do not touch the others", async () => {
  assert.deepEqual(await flags('addflag "v" ["A", "B"]; removeflag "V" "a"; keep :flags "${v} C";'), ["B", "C"]);
  assert.equal(await flags('setflag "v" "A"; keep;'), undefined);
  assert.deepEqual(await flags('set "v" "x Y  x"; addflag "v" "z"; fileinto :flags "${v}" "f";'), ["x", "Y", "z"]);
  assert.match(errorsOf('require "imap4flags"; setflag "v" "A";')[0] ?? "", /only with: require "variables"/);
});

Deno.test(":flags comes before the internal variable, also when it is empty", async () => {
  assert.deepEqual(await flags('setflag "A"; keep :flags "";'), []);
  assert.deepEqual(await flags('setflag "A"; fileinto :flags ["B", "\\\\Seen"] "f";'), ["B", "\\Seen"]);
  assert.deepEqual(await flags('setflag "A"; fileinto "f"; setflag "B"; fileinto "f";'), ["B"]);
});

Deno.test("hasflag compares single flags, and counts each once", async () => {
  assert.equal(await holdsFlags('setflag "A B";', 'hasflag "b A"'), true);
  assert.equal(await holdsFlags('setflag "A B";', 'hasflag ["c", "d"]'), false);
  assert.equal(await holdsFlags("", 'hasflag :contains "a"'), false);
  const mine = 'set "MyVar" "NonJunk Junk gnus-forward $Forwarded NotJunk JunkRecorded $Junk $NotJunk";';
  for (const keys of ['"Junk"', '"forward"', '["label", "forward"]', '["junk", "forward"]', '"junk forward"']) {
    assert.equal(await holdsFlags(mine, `hasflag :contains "MyVar" ${keys}`), true, keys);
  }
  for (const keys of ['"label"', '["label1", "label2"]']) {
    assert.equal(await holdsFlags(mine, `hasflag :contains "MyVar" ${keys}`), false, keys);
  }
  const count = (number: number, variables: string) =>
    `hasflag :count "eq" :comparator "i;ascii-numeric" ${variables} "${number}"`;
  assert.equal(await holdsFlags('set "f" "A B a";', count(2, '"f"')), true);
  assert.equal(await holdsFlags('set "f" "A B"; set "g" "B C D";', count(5, '["f", "g"]')), true);
  assert.equal(await holdsFlags('setflag "A";', count(1, "")), true);
});
