/** Which messages are taken for the same one (RFC 7352). */

import assert from "node:assert/strict";
import { errorsOf, holds } from "../script.ts";

const MESSAGE = "Message-ID:\n <one@example.org>\nX-Id: =?utf-8?q?gr=C3=BCn?=\nX-Id: other\n\n";

/** What a test asks the host for: `undefined` if it does not ask. */
async function asked(
  test: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ key: string; seconds: number; renew: boolean } | undefined> {
  let question: { key: string; seconds: number; renew: boolean } | undefined;
  const result = await holds(test, {
    before: 'require ["duplicate", "variables"];',
    message: MESSAGE,
    settings: new Map(Object.entries(settings)),
    host: {
      seen(key, seconds, renew) {
        question = { key, seconds, renew };
        return true;
      },
    },
  });
  assert.equal(result, question !== undefined);
  return question;
}

Deno.test("an id is the same one wherever it comes from", async () => {
  const usual = (await asked("duplicate"))?.key;
  assert.ok(usual !== undefined);
  for (const same of ['duplicate :header "message-id"', 'duplicate :uniqueid "<one@example.org>"']) {
    assert.equal((await asked(same))?.key, usual, same);
  }
  const decoded = await asked('duplicate :header "x-id"');
  assert.equal(decoded?.key, (await asked('duplicate :uniqueid "grün"'))?.key);
});

Deno.test("handles keep uses of one id apart, case counts", async () => {
  const tests = ["duplicate", 'duplicate :handle ""', 'duplicate :handle "a"', 'duplicate :handle "A"'];
  const keys = await Promise.all(tests.map(async (test) => (await asked(test))?.key));
  assert.equal(new Set(keys).size, tests.length);
  const ids = await Promise.all(["x", "X"].map(async (id) => (await asked(`duplicate :uniqueid "${id}"`))?.key));
  assert.equal(new Set(ids).size, 2);
});

Deno.test("a message without the field is never a duplicate, nor is one that is remembered for no time", async () => {
  for (const test of ['duplicate :header "x-none"', 'duplicate :header "no field:"', "duplicate :seconds 0"]) {
    assert.equal(await asked(test), undefined, test);
  }
});

Deno.test("ids are kept for a week, or as long as the script says", async () => {
  assert.deepEqual([(await asked("duplicate"))?.seconds, (await asked("duplicate"))?.renew], [604_800, false]);
  const { seconds, renew } = await asked("duplicate :seconds 60 :last") ?? {};
  assert.deepEqual([seconds, renew], [60, true]);
  const month = { sieve_duplicate_default_period: "2592000", sieve_duplicate_max_period: "2592000" };
  assert.equal((await asked("duplicate", month))?.seconds, 2_592_000);
  assert.equal((await asked("duplicate :seconds 60", month))?.seconds, 60);
  // RFC 7352 §3.3: no error.
  assert.equal((await asked("duplicate :seconds 99999999", month))?.seconds, 2_592_000);
  assert.equal(errorsOf('require "duplicate"; if duplicate :header "a" :uniqueid "b" {}').length, 1);
});
