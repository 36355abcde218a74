import assert from "node:assert/strict";
import { createStsCache, purgePolicies, type StsState } from "../../../src/outbound/mta_sts_cache.ts";
import { type FetchPolicy, StsFetchError } from "../../../src/outbound/mta_sts_fetch.ts";
import type { TlsResult } from "../../../src/outbound/tls_result.ts";
import { type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LIMIT = 3 * MINUTE;

const policy = (host: string, maxAge = 7 * 86_400) =>
  `version: STSv1\nmode: enforce\nmx: ${host}\nmax_age: ${maxAge}\n`;

const noStore: Store = {
  write: (statements) => Promise.resolve(statements.map(() => ({ changes: 0, rows: [] }))),
  read: () => Promise.resolve({ columns: [], rows: [] }),
  close: () => Promise.resolve(),
};

/** A policy server and a zone that a test changes, and one cache (or several) before them. */
function world(clock = new FakeClock()) {
  const zone: Record<string, ZoneEntry> = {};
  const fetched: string[] = [];
  const results: TlsResult[] = [];
  const state = { answer: (_domain: string): string | Promise<string> => refuse("no server") };
  const fetch: FetchPolicy = async (domain) => {
    fetched.push(domain);
    return await state.answer(domain);
  };
  const resolver = createZone(zone);
  const announce = (id: string, domain = "d.example") => zone[`_mta-sts.${domain}`] = { txt: [`v=STSv1; id=${id};`] };
  const open = (store: Store = noStore) =>
    createStsCache({
      resolver,
      fetch,
      store,
      clock,
      emit: () => {},
      results: { record: (result) => results.push(result) },
      capacity: 100_000,
    });
  return { clock, zone, resolver, fetched, results, state, announce, open };
}

function refuse(text: string): never {
  throw new StsFetchError(text, "sts-policy-fetch-error");
}

/** The hosts that the policy in force names. */
const hosts = (state: StsState | undefined) => state?.cached?.policy.mx.join(" ");

Deno.test("a policy is found, and not asked for again while nothing changes", async () => {
  const { clock, state, announce, fetched, resolver, open } = world();
  announce("1");
  state.answer = () => policy("a.example");
  const cache = open();
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  assert.equal(hosts(cache.known("d.example")), "a.example");
  await clock.advance(6 * SECOND);
  assert.equal(cache.known("d.example"), undefined);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  assert.deepEqual(fetched, ["d.example"]);
  assert.equal(resolver.asked.length, 2);
  await cache.close();
});

Deno.test("without a record nothing is fetched, and who asks at the same time shares one fetch", async () => {
  const { state, announce, fetched, open } = world();
  state.answer = () => policy("a.example");
  const cache = open();
  assert.deepEqual(await cache.look("none.example", LIMIT), {});
  assert.deepEqual(fetched, []);
  announce("1");
  const found = await Promise.all([1, 2, 3].map(() => cache.look("d.example", LIMIT)));
  assert.deepEqual(found.map(hosts), ["a.example", "a.example", "a.example"]);
  assert.deepEqual(fetched, ["d.example"]);
  await cache.close();
});

Deno.test("a fetch that hangs holds up nobody else", async () => {
  const { state, announce, open } = world();
  announce("1", "slow.example");
  announce("1", "d.example");
  let free = (_text: string) => {};
  state.answer = (domain) => domain === "slow.example" ? new Promise((resolve) => free = resolve) : policy("a.example");
  const cache = open();
  const slow = cache.look("slow.example", LIMIT);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  free(policy("b.example"));
  assert.equal(hosts(await slow), "b.example");
  await cache.close();
});

Deno.test("another id brings another policy", async () => {
  const { clock, state, announce, open } = world();
  announce("1");
  state.answer = () => policy("a.example");
  const cache = open();
  await cache.look("d.example", LIMIT);
  announce("2");
  state.answer = () => policy("b.example");
  await clock.advance(6 * SECOND);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "b.example");
  await cache.close();
});

// RFC 8461 §3.3, §5.1: whoever can break DNS or HTTPS does not undo a policy.
const ATTACKS: readonly (readonly [string, (setting: ReturnType<typeof world>) => void])[] = [
  ["the record is withheld", ({ zone }) => delete zone["_mta-sts.d.example"]],
  ["DNS does not answer", ({ zone }) => zone["_mta-sts.d.example"] = { error: "timeout" }],
  ["DNS is bogus", ({ zone }) => zone["_mta-sts.d.example"] = { error: "bogus" }],
  ["the record is doubled", ({ zone }) => zone["_mta-sts.d.example"] = { txt: ["v=STSv1; id=1;", "v=STSv1; id=2;"] }],
  ["another id is forged, and the policy host is down", ({ announce, state }) => {
    announce("666");
    state.answer = () => refuse("down");
  }],
  ["another id is forged, and the policy host says nonsense", ({ announce, state }) => {
    announce("666");
    state.answer = () => "<html>no policy here</html>";
  }],
];

for (const [what, attack] of ATTACKS) {
  Deno.test(`the last good policy stays in force: ${what}`, async () => {
    const setting = world();
    const { clock, state, announce, open } = setting;
    announce("1");
    state.answer = () => policy("a.example", 7 * 86_400);
    const cache = open();
    await cache.look("d.example", LIMIT);
    attack(setting);
    for (const pause of [6 * SECOND, 10 * MINUTE, DAY]) {
      await clock.advance(pause);
      assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
    }
    // Its life ends when it ends.
    await clock.advance(7 * DAY);
    assert.equal(hosts(await cache.look("d.example", LIMIT)), undefined);
    await cache.close();
  });
}

Deno.test("a fetch that failed is told once, and tried again after five minutes or for another id", async () => {
  const { clock, state, announce, fetched, results, open } = world();
  announce("1");
  const cache = open();
  const found = await cache.look("d.example", LIMIT);
  assert.equal(found.cached, undefined);
  assert.equal(found.fault?.type, "sts-policy-fetch-error");
  assert.match(found.fault?.text ?? "", /d\.example could not be fetched: no server/);
  await clock.advance(MINUTE);
  assert.equal((await cache.look("d.example", LIMIT)).fault?.type, "sts-policy-fetch-error");
  assert.equal(fetched.length, 1);
  announce("2");
  state.answer = () => "version: STSv1\n";
  await clock.advance(6 * SECOND);
  assert.equal((await cache.look("d.example", LIMIT)).fault?.type, "sts-policy-invalid");
  assert.equal(fetched.length, 2);
  state.answer = () => policy("a.example");
  await clock.advance(5 * MINUTE);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  assert.deepEqual(results.map(({ policy, failure }) => [policy.type, policy.domain, failure?.type]), [
    ["sts", "d.example", "sts-policy-fetch-error"],
    ["sts", "d.example", "sts-policy-invalid"],
  ]);
  await cache.close();
});

Deno.test("a policy without a life is still not fetched for each message", async () => {
  const { clock, state, announce, fetched, open } = world();
  announce("1");
  state.answer = () => policy("a.example", 0);
  const cache = open();
  await cache.look("d.example", LIMIT);
  await clock.advance(MINUTE);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  assert.equal(fetched.length, 1);
  await clock.advance(5 * MINUTE);
  await cache.look("d.example", LIMIT);
  assert.equal(fetched.length, 2);
  await cache.close();
});

/** Waits until what was written has reached the store. */
async function rowsOf(store: Store) {
  return (await store.read("SELECT domain, id, fetched, expires FROM sts_policies")).rows;
}

Deno.test("a policy is kept across restarts and shared by nodes", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const { clock, zone, state, announce, fetched, open } = world();
  announce("1");
  state.answer = () => policy("a.example");
  const first = open(store);
  await first.look("d.example", LIMIT);
  await first.close();
  assert.equal((await rowsOf(store)).length, 1);

  // Nothing of it can be reached any more.
  zone["_mta-sts.d.example"] = { error: "servfail" };
  state.answer = () => refuse("down");
  const second = open(store);
  assert.equal(hosts(await second.look("d.example", LIMIT)), "a.example");

  // What one node fetches the other need not.
  announce("2");
  state.answer = () => policy("b.example");
  const third = open(store);
  assert.equal(hosts(await third.look("d.example", LIMIT)), "b.example");
  await clock.advance(MINUTE);
  assert.equal(hosts(await second.look("d.example", LIMIT)), "b.example");
  assert.deepEqual(fetched, ["d.example", "d.example"]);
  await Promise.all([second.close(), third.close()]);
  await store.close();
});

Deno.test("a policy is refreshed before it ends, by one node, as long as mail uses it", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const { clock, state, announce, fetched, open } = world();
  announce("1");
  state.answer = () => policy("a.example");
  const caches = [open(store), open(store)];
  await caches[0]!.look("d.example", LIMIT);
  const expires = async () => Number((await rowsOf(store))[0]?.[3]);
  const before = await expires();
  await clock.advance(23 * HOUR);
  // The store answers from another thread; each read waits for those before it.
  for (let minutes = 0; minutes < 30; minutes++) {
    await clock.advance(MINUTE);
    await rowsOf(store);
    await settle();
  }
  assert.equal(fetched.length, 1);
  for (let minutes = 0; minutes < 60 && await expires() === before; minutes++) {
    await clock.advance(MINUTE);
    await rowsOf(store);
    await settle();
  }
  assert.ok(await expires() - before >= 23 * HOUR);
  await Promise.all(caches.map((cache) => cache.close()));
  assert.equal(fetched.length, 2);
  await store.close();
});

Deno.test("a store that cannot be used costs nothing but its memory", async () => {
  const { clock, state, announce, open } = world();
  announce("1");
  state.answer = () => policy("a.example");
  const gone = () => Promise.reject(new StoreUnavailable("gone", false));
  const cache = open({ write: gone, read: gone, close: () => Promise.resolve() });
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  state.answer = () => refuse("down");
  await clock.advance(HOUR);
  assert.equal(hosts(await cache.look("d.example", LIMIT)), "a.example");
  await cache.close();
});

Deno.test("what has ended is deleted by the purge", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const { clock, state, announce, open } = world();
  announce("1");
  state.answer = () => policy("a.example", 86_400);
  const cache = open(store);
  await cache.look("d.example", LIMIT);
  await store.write([purgePolicies(clock.now() + DAY - 1)]);
  assert.equal((await rowsOf(store)).length, 1);
  await store.write([purgePolicies(clock.now() + DAY)]);
  assert.equal((await rowsOf(store)).length, 0);
  await cache.close();
  await store.close();
});
