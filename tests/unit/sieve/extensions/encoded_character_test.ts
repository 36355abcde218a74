/** Characters by their numbers, as RFC 5228 §2.4.2.4 has them: the examples of the RFC, and some beside. */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, run } from "../script.ts";

const DECODED: Readonly<Record<string, string>> = {
  "$${hex:40}": "$@",
  "${hex: 40 }": "@",
  "${HEX: 40}": "@",
  "${hex:40": "${hex:40",
  "${hex:400}": "${hex:400}",
  "${hex:4${hex:30}}": "${hex:40}",
  "${unicode:40}": "@",
  "${ unicode:40}": "${ unicode:40}",
  "${UNICODE:40}": "@",
  "${UnICoDE:0000040}": "@",
  "${Unicode:40}": "@",
  "${Unicode:Cool}": "${Unicode:Cool}",
  "$${hex:24 24}": "$$$",
  // Octets of one character, in one sequence or in two; a pair may be one digit.
  "${hex:c3 BC}${hex:c3}${hex:bc}": "üü",
  "a${hex:4a}${hex:400}${hex:4b}": "aJ${hex:400}K",
  "x${hex:4f\r\n 5}y": "xO\u0005y",
  "${unicode:20AC 1F600}": "€😀",
  "${hex:}${unicode:}": "${hex:}${unicode:}",
};

Deno.test("encoded characters become what they stand for, and nonsense stays", async () => {
  for (const [written, meant] of Object.entries(DECODED)) {
    const outcome = await run(`require ["encoded-character", "reject"]; reject "${written}";`);
    assert.deepEqual(actionsOf(outcome), [`reject ${meant}`], written);
  }
});

Deno.test("numbers of no character are errors", () => {
  for (
    const wrong of ["${unicode:200000}", "${Unicode:DF01}", "${unicode:40 110000}", `\${unicode:${"f".repeat(40)}}`]
  ) {
    const [error = ""] = errorsOf(`require ["encoded-character", "reject"]; reject "${wrong}";`);
    assert.match(error, /is not the number of a Unicode character/, wrong);
  }
});

Deno.test("without the extension nothing is decoded", async () => {
  assert.deepEqual(actionsOf(await run('require "reject"; reject "${hex:40}";')), ["reject ${hex:40}"]);
});
