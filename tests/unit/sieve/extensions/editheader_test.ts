/** Fields that scripts add and take away (RFC 5293). */

import assert from "node:assert/strict";
import { messageBytes } from "../../../../src/sieve/mod.ts";
import { errorsOf, run } from "../script.ts";

const REQUIRE = 'require ["editheader", "variables", "regex", "relational", "comparator-i;ascii-numeric", "extlists"];';
const MESSAGE = "X: 1 one\nY: y\nX: 2 two\nx:  3 THREE \n\nbody\n";

/** The header behind a script, one field in a line. */
async function left(script: string, message = MESSAGE): Promise<string> {
  const outcome = await run(`${REQUIRE} ${script}`, {
    message,
    host: { inList: (list, value) => list === "l" && value === "2 two" },
  });
  assert.equal(outcome.error, undefined);
  assert.ok(outcome.implicitKeep !== undefined);
  return new TextDecoder().decode(await messageBytes(outcome.message)).replaceAll("\r\n", "\n").split("\n\n")[0] ?? "";
}

Deno.test("fields are deleted by what they hold, compared like those of the header test", async () => {
  const [one, y, two, three] = MESSAGE.split("\n");
  for (
    const [tags, keys, rest] of [
      ["", "", [y]],
      [":is", '"1 ONE"', [y, two, three]],
      [':comparator "i;octet" :is', '["1 ONE", "3 THREE"]', [one, y, two]],
      [":contains", '["one", "three"]', [y, two]],
      [":matches", '"? t*"', [one, y]],
      [":regex", '"^[12]"', [y, three]],
      [':value "ge" :comparator "i;ascii-numeric"', '"2"', [one, y]],
      [":list", '"l"', [one, y, three]],
      [":index 2", "", [one, y, three]],
      [":index 1 :last", "", [one, y, two]],
      [":index 1 :contains", '"two"', [one, y, two, three]],
      [":index 2 :last :contains", '"two"', [one, y, three]],
      [":index 9", "", [one, y, two, three]],
    ] as const
  ) assert.equal(await left(`deleteheader ${tags} "x" ${keys};`), rest.join("\n"), `${tags} ${keys}`);
});

Deno.test("each edit sees what those before have left", async () => {
  assert.equal(await left('addheader "X-Hello" "World"; deleteheader :index 1 "X-Hello";'), MESSAGE.split("\n\n")[0]);
  assert.equal(await left('deleteheader :index 1 "x"; deleteheader :index 2 "x";'), "Y: y\nX: 2 two");
});

Deno.test("values are trimmed on the left, folded, and encoded where they have to be", async () => {
  assert.match(await left('addheader "X-A" "  a  b ";'), /^X-A: a {2}b ?\nX:/);
  assert.match(await left('addheader :last "X-A" "grün";'), /\nX-A: =\?utf-8\?/);
  const long = await left(`addheader "X-Long" "${"word ".repeat(50)}end";`);
  for (const line of long.split("\n")) assert.ok(line.length <= 78, line);
  assert.match(await left('addheader "X-A" "a\r\n b";'), /^X-A: a\s+b\n/);
});

Deno.test("a value cannot begin another field", async () => {
  const header = await left('set "a" "x\r\nInjected: yes"; addheader "X-A" "${a}";');
  assert.doesNotMatch(header, /^Injected/m);
});

Deno.test("names and values that cannot be are errors, in the script or while it runs", async () => {
  for (const name of ["X Y", "X:", "", "Grün"]) {
    assert.match(errorsOf(`${REQUIRE} addheader "${name}" "v";`)[0] ?? "", /field name .* is invalid/, name);
    assert.match(errorsOf(`${REQUIRE} deleteheader "${name}";`)[0] ?? "", /field name .* is invalid/, name);
    const late = await run(`${REQUIRE} set "n" "${name}"; addheader "\${n}" "v";`);
    assert.match(late.error?.message ?? "", /field name .* is invalid/, name);
  }
  assert.match(errorsOf(`${REQUIRE} addheader "X" "${"v".repeat(3000)}";`)[0] ?? "", /larger than 2048/);
  assert.match(errorsOf(`${REQUIRE} deleteheader :last "X";`)[0] ?? "", /without the :index tag/);
});

Deno.test("what keeps mail from going in circles stays, the subject is free, and nothing is said of it", async () => {
  const kept = "Received: by a\nAuto-Submitted: no\nOriginal-Subject: s\nOriginal-From: f\nSubject: s\n\n";
  const fields = ["received", "AUTO-SUBMITTED", "original-subject", "original-from", "subject"];
  const script = fields.map((name) => `deleteheader "${name}";`).join(" ");
  assert.equal(await left(script, kept), kept.replace("Subject: s\n\n", "").trim());
});
