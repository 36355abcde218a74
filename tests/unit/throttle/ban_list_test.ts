import assert from "node:assert/strict";
import { openBanList } from "../../../src/throttle/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { StoreUnavailable } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

/** Milliseconds within which other nodes hear of a ban. */
const REFRESH = 15_000;

async function list(store: Store, clock = new FakeClock()) {
  const heard: string[] = [];
  return { heard, bans: await openBanList({ store, clock, onBan: (ip) => heard.push(ip) }) };
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
