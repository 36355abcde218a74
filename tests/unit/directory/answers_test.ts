import assert from "node:assert/strict";
import { withAnswers } from "../../../src/directory/answers.ts";
import type { Directory } from "../../../src/directory/directory.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A directory that knows ana@example.net, and what it was asked. */
function counting(): { readonly directory: Directory; readonly asked: string[]; failing: boolean } {
  const asked: string[] = [];
  const world = { asked, failing: false, directory: undefined as unknown as Directory };
  const answer = <T>(question: string, value: T): Promise<T> => {
    asked.push(question);
    return world.failing ? Promise.reject(new LookupUnavailable("away")) : Promise.resolve(value);
  };
  world.directory = {
    id: "d",
    isLocalDomain: (domain) => domain === "sure.example" || answer(`domain ${domain}`, domain === "example.net"),
    localDomains: () => ["sure.example"],
    recipients: (address) => answer(`recipients ${address}`, address === "ana@example.net" ? ["ana"] : []),
    account: (name) =>
      answer(`account ${name}`, name === "ana" ? { name, class: "individual", emails: [] } as const : undefined),
    login: () => answer("login", { kind: "refused" } as const),
    plainSecrets: () => answer("secrets", []),
  };
  return world;
}

const SETTINGS = { size: 1_000_000, positive: 3_600_000, negative: 600_000 };

Deno.test("yes is kept for its time, and no for a shorter one", async () => {
  const { directory, asked } = counting();
  const clock = new FakeClock();
  const kept = withAnswers(directory, SETTINGS, clock);
  const ask = async () => {
    assert.deepEqual(await kept.recipients("ana@example.net"), ["ana"]);
    assert.deepEqual(await kept.recipients("bob@example.net"), []);
    assert.equal((await kept.account("ana"))?.name, "ana");
    assert.equal(await kept.account("bob"), undefined);
    assert.equal(await kept.isLocalDomain("example.net"), true);
    assert.equal(await kept.isLocalDomain("example.org"), false);
    return asked.splice(0);
  };
  const no = ["recipients bob@example.net", "account bob", "domain example.org"];
  assert.equal((await ask()).length, 6);
  await clock.advance(599_999);
  assert.deepEqual(await ask(), []);
  await clock.advance(1);
  assert.deepEqual(await ask(), no);
  await clock.advance(3_000_000);
  assert.equal((await ask()).length, 6);
});

Deno.test("passwords and secrets are asked for each time", async () => {
  const { directory, asked } = counting();
  const kept = withAnswers(directory, SETTINGS, new FakeClock());
  for (let round = 0; round < 2; round++) {
    await kept.login("ana", "x");
    await kept.plainSecrets?.("ana");
  }
  assert.deepEqual(asked, ["login", "secrets", "login", "secrets"]);
});

Deno.test("the same question asked meanwhile is asked once", async () => {
  const { directory, asked } = counting();
  const kept = withAnswers(directory, { ...SETTINGS, size: 0 }, new FakeClock());
  const answers = await Promise.all(Array.from({ length: 50 }, () => kept.recipients("ana@example.net")));
  assert.ok(answers.every((names) => names[0] === "ana"));
  assert.equal(asked.length, 1);
  // Without memory for it, nothing is kept.
  await kept.recipients("ana@example.net");
  assert.equal(asked.length, 2);
});

Deno.test("a failure is told to all who asked, and is not kept", async () => {
  const world = counting();
  const kept = withAnswers(world.directory, SETTINGS, new FakeClock());
  world.failing = true;
  const settled = await Promise.allSettled([kept.recipients("ana@example.net"), kept.recipients("ana@example.net")]);
  assert.ok(settled.every((one) => one.status === "rejected" && one.reason instanceof LookupUnavailable));
  world.failing = false;
  assert.deepEqual(await kept.recipients("ana@example.net"), ["ana"]);
});

Deno.test("the size is a bound, and what was used last stays", async () => {
  const { directory, asked } = counting();
  const kept = withAnswers(directory, { ...SETTINGS, size: 20_000 }, new FakeClock());
  await kept.recipients("ana@example.net");
  for (let guess = 0; guess < 10_000; guess++) {
    await kept.recipients(`guess${guess}@example.net`);
    if (guess % 20 === 0) await kept.recipients("ana@example.net");
  }
  assert.equal(asked.filter((question) => question === "recipients ana@example.net").length, 1);
  asked.length = 0;
  // Of ten thousand guesses no more are kept than 20,000 octets hold.
  for (let guess = 9999; guess >= 9000; guess--) await kept.recipients(`guess${guess}@example.net`);
  assert.ok(asked.length >= 850, `${asked.length} of the last 1000 had to be asked again`);
});

Deno.test("what the directory knows at once takes no detour", () => {
  const { directory, asked } = counting();
  const kept = withAnswers(directory, SETTINGS, new FakeClock());
  assert.equal(kept.isLocalDomain("sure.example"), true);
  assert.deepEqual(kept.localDomains(), ["sure.example"]);
  assert.deepEqual(asked, []);
});
