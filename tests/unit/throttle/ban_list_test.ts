import assert from "node:assert/strict";
import { banTarget, openBanList } from "../../../src/throttle/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { StoreUnavailable } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

/** Milliseconds within which other nodes hear of a ban. */
const REFRESH = 15_000;

async function list(store: Store, clock = new FakeClock()) {
  const heard: string[] = [];
  const asked = ["192.0.2.1", "192.0.2.200", "2001:db8::1", "198.51.100.9"];
  const onBan = (isBanned: (ip: string) => boolean) => void heard.push(...asked.filter(isBanned));
  return { heard, bans: await openBanList({ store, clock, onBan }) };
}

/** Lets what the lists have asked of the store happen. */
async function turn(store: Store): Promise<void> {
  for (let round = 0; round < 5; round++) await store.read("SELECT 1");
}

Deno.test("a ban holds at once, is told once, and survives a restart", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const { bans, heard } = await list(store);
  assert.equal(bans.has("192.0.2.1"), false);
  assert.equal(bans.add("192.0.2.1", "abuse"), true);
  assert.equal(bans.add("192.0.2.1", "auth"), false);
  assert.equal(bans.has("192.0.2.1"), true);
  assert.deepEqual(heard, ["192.0.2.1"]);
  await turn(store);
  const { rows } = await store.read("SELECT ip, reason, expires FROM bans");
  assert.deepEqual(rows, [["192.0.2.1", "abuse", null]]);
  assert.equal((await list(store)).bans.has("192.0.2.1"), true);
  await store.close();
});

Deno.test("other nodes hear of a ban, and of its removal", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const here = await list(store, clock);
  const there = await list(store, clock);
  here.bans.add("2001:db8::1", "scan");
  await turn(store);
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal(there.bans.has("2001:db8::1"), true);
  assert.deepEqual(there.heard, ["2001:db8::1"]);

  await store.write([{ sql: "DELETE FROM bans", args: [] }]);
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal(here.bans.has("2001:db8::1"), false);
  assert.equal(there.bans.has("2001:db8::1"), false);
  await store.close();
});

Deno.test("an administrator bans a network, with an end or without, and takes it off again", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const here = await list(store, clock);
  const there = await list(store, clock);
  assert.deepEqual(await here.bans.set("192.0.2.0/24", 60_000), {
    ip: "192.0.2.0/24",
    reason: "manual",
    created: "2026-01-05T12:00:00.000Z",
    expires: "2026-01-05T12:01:00.000Z",
  });
  assert.deepEqual(here.heard, ["192.0.2.1", "192.0.2.200"]);
  for (const [ip, banned] of [["192.0.2.77", true], ["192.0.3.1", false], ["2001:db8::1", false]] as const) {
    assert.equal(here.bans.has(ip), banned, ip);
  }
  // What is banned with its network is not banned a second time by itself.
  assert.equal(here.bans.add("192.0.2.77", "scan"), false);
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal(there.bans.has("192.0.2.77"), true);
  // The end is an instant, not the next look at the store.
  await clock.advance(60_000 - REFRESH - 1);
  assert.equal(there.bans.has("192.0.2.77"), true);
  await clock.advance(1);
  assert.equal(there.bans.has("192.0.2.77"), false);
  assert.deepEqual(await there.bans.list(10), []);

  await here.bans.set("192.0.2.0/24");
  assert.equal((await here.bans.list(10))[0]?.expires, null);
  await clock.advance(365 * 24 * 60 * 60 * 1000);
  assert.equal(here.bans.has("192.0.2.77"), true);
  assert.equal(await here.bans.remove("192.0.2.0/24"), true);
  assert.equal(here.bans.has("192.0.2.77"), false);
  assert.equal(await here.bans.remove("192.0.2.0/24"), false);
  await store.close();
});

Deno.test("an automatic ban with a life is over then, and the next one begins anew", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const { bans } = await list(store, clock);
  assert.equal(bans.add("192.0.2.1", "auth", 20_000), true);
  await turn(store);
  await clock.advance(20_000);
  assert.equal(bans.has("192.0.2.1"), false);
  assert.equal(bans.add("192.0.2.1", "scan", 20_000), true);
  await turn(store);
  assert.deepEqual((await bans.list(10)).map(({ ip, reason }) => [ip, reason]), [["192.0.2.1", "scan"]]);
  assert.equal((await list(store, clock)).bans.has("192.0.2.1"), true);
  await store.close();
});

Deno.test("what can be banned has one spelling", () => {
  for (
    const [text, target] of [
      ["192.0.2.1", "192.0.2.1"],
      ["192.0.2.1/32", "192.0.2.1"],
      ["192.0.2.77/24", "192.0.2.0/24"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["2001:DB8:0::1", "2001:db8::1"],
      ["2001:db8::1/64", "2001:db8::/64"],
      ["192.0.2.1/33", undefined],
      ["192.0.2", undefined],
      ["mx.example.org", undefined],
      ["", undefined],
    ] as const
  ) assert.equal(banTarget(text), target, text);
});

Deno.test("a ban with an end is over then", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  await store.write([{
    sql: "INSERT INTO bans (ip, reason, created, expires) VALUES (?, 'auth', ?, ?)",
    args: ["192.0.2.9", clock.now(), clock.now() + 2 * REFRESH],
  }]);
  const { bans } = await list(store, clock);
  assert.equal(bans.has("192.0.2.9"), true);
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal(bans.has("192.0.2.9"), true);
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal(bans.has("192.0.2.9"), false);
  await store.close();
});

Deno.test("a ban that could not be stored holds here and is stored later", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  let away = true;
  const flaky: Store = {
    ...store,
    write: (...args) => away ? Promise.reject(new StoreUnavailable("away", false)) : store.write(...args),
  };
  const { bans } = await list(flaky, clock);
  bans.add("192.0.2.7", "loiter");
  await turn(store);
  assert.equal(bans.has("192.0.2.7"), true);
  assert.equal((await store.read("SELECT count(*) FROM bans")).rows[0]?.[0], 0);
  away = false;
  await clock.advance(REFRESH);
  await turn(store);
  assert.equal((await store.read("SELECT count(*) FROM bans")).rows[0]?.[0], 1);
  await store.close();
});
