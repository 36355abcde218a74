import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { cachedCertificate, createKeeper, type Keeper } from "../../../src/acme/keeper.ts";
import { createProofBoard } from "../../../src/acme/proofs.ts";
import { type AcmeRecords, acmeRecords } from "../../../src/acme/records.ts";
import type { AcmeConfig } from "../../../src/config/config.ts";
import type { Clock } from "../../../src/clock/mod.ts";
import { type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import type { Emit } from "../../../src/telemetry/event.ts";
import { createAuthority, type TestAuthority } from "../../support/authority.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder, until } from "../../support/store.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The limit of an order: a timer of this length runs while there is one. */
const ORDER_LIMIT = 10 * MINUTE;

/** A place with a store, a clock and an authority, where nodes come and go. */
async function world() {
  const folder = await temporaryFolder();
  const clock = new FakeClock();
  const authority = await createAuthority(clock);
  const stores: Store[] = [];
  const keepers: Keeper[] = [];
  /** The lengths of the timers of each node. */
  const nodes: Map<number, number>[] = [];
  const log = eventLog();
  /** How long each order that failed is put off, in minutes. */
  const pauses: number[] = [];
  const emit: Emit = (name, fields) => {
    if (name === "acme.renew-backoff") pauses.push((Date.parse(String(fields?.["next"])) - clock.now()) / MINUTE);
    log.emit(name, fields);
  };

  /** The clock of a node. It waits for nothing but a look, an order, or a pause in one. */
  const watched = (timers: Map<number, number>): Clock => ({
    now: () => clock.now(),
    after(delay, fire) {
      timers.set(delay, (timers.get(delay) ?? 0) + 1);
      const over = () => {
        const left = (timers.get(delay) ?? 0) - 1;
        if (left > 0) timers.set(delay, left);
        else timers.delete(delay);
      };
      let isOver = false;
      const once = () => {
        if (!isOver) over();
        isOver = true;
      };
      const timer = clock.after(delay, () => {
        once();
        fire();
      });
      return {
        cancel() {
          once();
          timer.cancel();
        },
      };
    },
  });
  const config = (more: Partial<AcmeConfig> = {}, node = "a"): AcmeConfig => ({
    id: "le",
    directory: authority.directory,
    contacts: ["mailto:postmaster@example.net"],
    domains: ["mx.example.net", "www.example.net"],
    cache: `${folder.path}/${node}`,
    renewBefore: 30 * DAY,
    default: false,
    eab: undefined,
    challenge: { kind: "http-01" },
    ...more,
  });
  return {
    folder: folder.path,
    nodes,
    clock,
    authority,
    log,
    pauses,
    config,
    /** Starts a node; the authority asks it for proofs. */
    async node(
      own = config(),
      options: { nodeId?: string; wrap?: (records: AcmeRecords) => AcmeRecords } = {},
    ) {
      const store = await openTemporaryStore(folder.path);
      stores.push(store);
      const { wrap = (records) => records, nodeId = "a" } = options;
      const records = wrap(acmeRecords(store));
      const timers = new Map<number, number>();
      nodes.push(timers);
      const keeper = await createKeeper(own, watched(timers), emit);
      keepers.push(keeper);
      const board = createProofBoard({
        clock,
        emit,
        records: () => records,
        tlsNames: () => new Set(own.domains),
      });
      authority.look = (_, token) => board.httpAnswer(token);
      const changed: string[] = [];
      const { kind } = own.challenge;
      assert.ok(kind !== "dns-01");
      keeper.start(
        { clock, random: () => 0.5, emit, records, send: authority.send, nodeId, solver: board.solver(kind) },
        () => changed.push(keeper.current.cert),
      );
      return { keeper, changed, board, records };
    },
    async [Symbol.asyncDispose]() {
      for (const keeper of keepers) {
        const closed = keeper.close();
        await clock.advance(0);
        await closed;
      }
      for (const store of stores) await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Lets what is under way come to its end: the store and the authority take turns of the event loop. */
async function comesToRest({ clock, nodes }: Pick<World, "clock" | "nodes">): Promise<void> {
  await until(async () => {
    const working = nodes.filter((timers) => timers.size === 0 || timers.has(ORDER_LIMIT));
    // An order looks again after a second. Longer steps would be beyond its limit.
    if (working.some((timers) => timers.size > 1)) await clock.advance(1_000);
    return working.length === 0;
  });
}

/** Moves time on until a condition holds. */
async function passes(here: World, condition: () => boolean, step = 1_000): Promise<void> {
  await until(async () => {
    if (condition()) return true;
    await here.clock.advance(step);
    if (step > 1_000) await comesToRest(here);
    return condition();
  });
}

/** Lets so much time pass, with room for what happens meanwhile. */
async function later(here: World, milliseconds: number): Promise<void> {
  const end = here.clock.now() + milliseconds;
  while (here.clock.now() < end) {
    await here.clock.advance(Math.min(6 * HOUR, end - here.clock.now()));
    await comesToRest(here);
  }
}

type World = Awaited<ReturnType<typeof world>>;

const issuerOf = (cert: string) => new X509Certificate(cert).issuer;
const spki = (cert: string) =>
  new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" }).toString("hex");
const issued = ({ keeper }: { keeper: Keeper }) => issuerOf(keeper.current.cert) === "CN=test authority";
const orders = (authority: TestAuthority) => authority.orders.length;

Deno.test("until the first certificate arrives one of our own serves, then it is that of the authority", async () => {
  await using here = await world();
  const { clock, authority, log } = here;
  const keeper = await createKeeper(here.config(), clock, log.emit);
  assert.match(issuerOf(keeper.current.cert), /temporary/);
  assert.equal(keeper.current.temporary, true);
  assert.match(
    new X509Certificate(keeper.current.cert).subjectAltName ?? "",
    /DNS:mx\.example\.net, DNS:www\.example\.net/,
  );
  const node = await here.node();
  await passes(here, () => issued(node));
  assert.equal(node.keeper.current.temporary, undefined);
  assert.equal(node.changed.length, 1);
  assert.deepEqual(authority.orders, [{ names: ["mx.example.net", "www.example.net"], replaces: undefined }]);
  assert.deepEqual([...authority.accounts.values()].map(({ contact }) => contact), [["mailto:postmaster@example.net"]]);
  assert.ok(log.count("acme.order-completed") === 1 && log.count("acme.process-cert") === 1);
});

Deno.test("it is renewed thirty days before its end, with the same key, and not before", async () => {
  await using here = await world();
  const { clock, authority } = here;
  const node = await here.node();
  await passes(here, () => issued(node));
  const first = node.keeper.current.cert;
  await later(here, 59 * DAY);
  assert.equal(orders(authority), 1);
  await passes(here, () => node.changed.length === 2, HOUR);
  const left = Date.parse(new X509Certificate(first).validTo) - clock.now();
  // The last twentieth of the time is for spreading renewals.
  assert.ok(left <= 30 * DAY && left > 29 * DAY, `${left / DAY} days`);
  assert.equal(spki(node.keeper.current.cert), spki(first));
  assert.equal(authority.accounts.size, 1);
});

Deno.test("a certificate that lives for days only is renewed at half of its life", async () => {
  await using here = await world();
  const { authority } = here;
  authority.lifetime = 6 * DAY;
  const node = await here.node();
  await passes(here, () => issued(node));
  await later(here, 2.9 * DAY);
  assert.equal(orders(authority), 1);
  await later(here, DAY);
  assert.equal(orders(authority), 2);
});

Deno.test("a certificate that comes expired is a failure, one that comes late in its life is used for the half of the rest", async () => {
  await using here = await world();
  const { authority, log } = here;
  authority.lifetime = -DAY;
  const node = await here.node();
  await passes(here, () => log.count("acme.renew-backoff") === 1);
  assert.match(
    String(log.events.find(({ name }) => name === "acme.error")?.fields["reason"]),
    /is the clock .* right\?/,
  );
  assert.match(issuerOf(node.keeper.current.cert), /temporary/);
  await later(here, 14 * MINUTE);
  assert.equal(orders(authority), 1);
  // Three days old, with half an hour to go.
  authority.age = 3 * DAY;
  authority.lifetime = 30 * MINUTE;
  node.keeper.retry();
  await passes(here, () => issued(node));
  await later(here, 14 * MINUTE);
  assert.equal(orders(authority), 2);
  await passes(here, () => orders(authority) === 3, MINUTE);
});

Deno.test("an authority that wants an earlier renewal gets it, and is told which certificate ends (RFC 9773)", async () => {
  await using here = await world();
  const { clock, authority } = here;
  authority.renewal = { start: clock.now() + 50 * DAY, end: clock.now() + 52 * DAY };
  const node = await here.node();
  await passes(here, () => issued(node));
  await later(here, 10 * DAY);
  assert.equal(orders(authority), 1);
  // Something has happened there, and all are to come at once.
  authority.renewal = { start: clock.now() - 2 * DAY, end: clock.now() - DAY };
  await passes(here, () => orders(authority) === 2, HOUR);
  assert.ok(clock.now() < Date.UTC(2026, 0, 5, 12) + 11 * DAY);
  // base64url of the key identifier and of the serial number, which was 0x1000.
  assert.match(String(authority.orders[1]?.replaces), /^[\w-]{27}\.EAA$/);
});

Deno.test("a node that starts again goes on with what its folder holds, and asks for nothing", async () => {
  await using here = await world();
  const { clock, authority, log, folder } = here;
  const node = await here.node();
  await passes(here, () => issued(node));
  const { cert } = node.keeper.current;
  const restarted = await createKeeper(here.config(), clock, log.emit);
  assert.equal(restarted.current.cert, cert);
  // That is what tools find, without a server.
  assert.equal(cachedCertificate(here.config(), here.clock.now())?.cert, cert);
  assert.equal(cachedCertificate(here.config({ domains: ["other.example"] }), here.clock.now()), undefined);
  const modes: number[] = [];
  for (const { name } of Deno.readDirSync(`${folder}/a`)) {
    modes.push((Deno.statSync(`${folder}/a/${name}`).mode ?? 0) & 0o777);
  }
  assert.deepEqual(modes, [0o600, 0o600, 0o600]);
  assert.equal((Deno.statSync(`${folder}/a`).mode ?? 0) & 0o777, 0o700);
  // Other names are another certificate, with the same key.
  const other = await here.node(here.config({ domains: ["new.example.net"] }));
  assert.match(issuerOf(other.keeper.current.cert), /temporary/);
  await passes(here, () => issued(other));
  assert.equal(spki(other.keeper.current.cert), spki(cert));
  assert.equal(authority.accounts.size, 1);
});

Deno.test("names that are added cost nobody the certificate that there is, and the key stays", async () => {
  await using here = await world();
  const node = await here.node();
  await passes(here, () => issued(node));
  const first = node.keeper.current.cert;
  await node.keeper.close();
  const more = here.config({ domains: ["mx.example.net", "more.example.net"] });
  assert.equal(cachedCertificate(more, here.clock.now())?.cert, first);
  const next = await here.node(more);
  assert.equal(next.keeper.current.cert, first);
  await passes(here, () => next.keeper.current.cert !== first);
  assert.match(new X509Certificate(next.keeper.current.cert).subjectAltName ?? "", /DNS:more\.example\.net/);
  assert.equal(spki(next.keeper.current.cert), spki(first));
  // One that has expired, is of another id, or for other names is none.
  for (const [other, now] of [[{}, 91 * DAY], [{ id: "l" }, 0], [{ domains: ["other.example"] }, 0]] as const) {
    assert.equal(
      cachedCertificate({ ...more, domains: ["www.example.net"], ...other }, here.clock.now() + now),
      undefined,
    );
  }
  // Records such as TLSA tell of the key, so a certificate of our own has it, too.
  await here.clock.advance(91 * DAY);
  const { current } = await createKeeper(here.config({ domains: ["late.example.net"] }), here.clock, here.log.emit);
  assert.match(issuerOf(current.cert), /temporary/);
  assert.equal(spki(current.cert), spki(first));
});

Deno.test("of two nodes one orders, the other takes what it got within a minute, and both prove", async () => {
  await using here = await world();
  const { clock, authority } = here;
  const one = await here.node(here.config({}, "a"), { nodeId: "a" });
  await passes(here, () => issued(one));
  const two = await here.node(here.config({}, "b"), { nodeId: "b" });
  await passes(here, () => issued(two));
  assert.equal(orders(authority), 1);
  assert.equal(two.keeper.current.cert, one.keeper.current.cert);
  assert.equal(two.keeper.current.privateKey, one.keeper.current.privateKey);
  // The authority may come to the node that did not order.
  authority.look = async (_, token) => {
    const [a, b] = await Promise.all([one.board.httpAnswer(token), two.board.httpAnswer(token)]);
    assert.equal(a, b);
    return b;
  };
  await later(here, 59 * DAY);
  await passes(here, () => orders(authority) === 2, 10 * MINUTE);
  await passes(here, () => one.changed.length + two.changed.length >= 3, 10_000);
  const done = clock.now();
  await passes(here, () => one.changed.length === 2 && two.changed.length === 2, 10_000);
  assert.equal(one.keeper.current.cert, two.keeper.current.cert);
  assert.ok(clock.now() - done <= MINUTE);
  assert.equal(orders(authority), 2);
});

Deno.test("a node that looked just before another one was done does not order again", async () => {
  await using here = await world();
  const one = await here.node(here.config({}, "a"), { nodeId: "a" });
  await passes(here, () => issued(one));
  let looks = 0;
  const two = await here.node(here.config({}, "b"), {
    nodeId: "b",
    wrap: (records) => ({
      ...records,
      certificate: async (id) => looks++ === 0 ? undefined : await records.certificate(id),
    }),
  });
  await passes(here, () => issued(two));
  assert.equal(two.keeper.current.cert, one.keeper.current.cert);
  assert.equal(orders(here.authority), 1);
});

Deno.test("an id that would lead elsewhere names a file in the folder", async () => {
  await using here = await world();
  const node = await here.node(here.config({ id: "../../le" }));
  await passes(here, () => issued(node));
  const names = [...Deno.readDirSync(`${here.folder}/a`)].map(({ name }) => name);
  assert.equal(names.length, 3);
  for (const name of names) assert.match(name, /^\.\._\.\._le-/);
});

Deno.test("a refusal is told with the problem as it is, and tried again later each time", async () => {
  await using here = await world();
  const { authority, log } = here;
  const node = await here.node();
  authority.look = () => Promise.resolve("something else");
  await passes(here, () => log.count("acme.renew-backoff") === 1);
  const failed = log.events.find(({ name }) => name === "acme.auth-error")?.fields;
  assert.match(String(failed?.["reason"]), /^mx\.example\.net: unauthorized: found something else$/);
  assert.deepEqual(JSON.parse(String(failed?.["problem"])), {
    type: "urn:ietf:params:acme:error:unauthorized",
    detail: "found something else",
    subproblems: [],
  });
  assert.match(issuerOf(node.keeper.current.cert), /temporary/);
  await passes(here, () => log.count("acme.renew-backoff") === 3, MINUTE);
  // An eighth longer, by the random number of this test.
  assert.deepEqual(here.pauses, [15 * 1.125, 30 * 1.125, 60 * 1.125]);
  assert.equal(orders(authority), 3);
  // Whoever has mended it does not wait.
  authority.look = (_, token) => node.board.httpAnswer(token);
  node.keeper.retry();
  await passes(here, () => issued(node));
  assert.equal(orders(authority), 4);
});

const busy = (seconds: number) => ({
  status: 429,
  headers: { "retry-after": String(seconds) },
  body: { type: "urn:ietf:params:acme:error:rateLimited", detail: "too many certificates" },
});

Deno.test("the pause that an authority asks for is kept, whatever else is wanted", async () => {
  await using here = await world();
  const { authority, log } = here;
  authority.instead.set("/new-order", [busy(20 * 3600)]);
  const node = await here.node();
  await passes(here, () => log.count("acme.renew-backoff") === 1);
  assert.match(
    String(log.events.find(({ name }) => name === "acme.order-invalid")?.fields["reason"]),
    /rateLimited: too many/,
  );
  node.keeper.retry();
  await later(here, 19 * HOUR);
  assert.equal(authority.asked.filter((line) => line === "POST /new-order").length, 1);
  // Nor does a restart make it forget.
  const again = await here.node();
  await later(here, 30 * MINUTE);
  assert.equal(authority.asked.filter((line) => line === "POST /new-order").length, 1);
  await passes(here, () => issued(again), MINUTE);
});

Deno.test("an authority that asks for a week is asked again each day, and more often when the certificate is to end", async () => {
  await using here = await world();
  const { clock, authority } = here;
  authority.lifetime = 6 * DAY;
  const node = await here.node();
  await passes(here, () => issued(node));
  const end = clock.now() + 6 * DAY;
  authority.instead.set("/new-order", Array(100).fill(busy(7 * 86_400)));
  await later(here, 6 * DAY - 2 * HOUR);
  assert.equal(here.pauses[0], 24 * 60);
  // Half of what is left.
  const [last = 0] = here.pauses.slice(-1);
  assert.ok(here.pauses.length >= 5 && last >= 60 && last < 8 * 60, here.pauses.join(" "));
  assert.ok(clock.now() < end);
  authority.instead.clear();
  await passes(here, () => node.changed.length === 2, 10 * MINUTE);
  assert.ok(clock.now() < end, "it has expired");
});

Deno.test("a pause that a clock wrote which was ahead by years holds nobody", async () => {
  await using here = await world();
  const far = here.clock.now() + 10 * 365 * DAY;
  let written = false;
  const node = await here.node(here.config(), {
    wrap: (records) => ({
      ...records,
      async certificate(id) {
        if (!written) {
          await records.claim(id, "b", 0, 1);
          await records.release(id, "b", { next: far, barred: far, failures: 3 });
        }
        written = true;
        return await records.certificate(id);
      },
    }),
  });
  await passes(here, () => issued(node));
});

Deno.test("an authority that cannot be reached is tried again after a minute", async () => {
  await using here = await world();
  const { authority, log } = here;
  authority.reachable = false;
  const node = await here.node();
  await passes(here, () => log.count("acme.renew-backoff") === 1);
  assert.match(String(log.events.find(({ name }) => name === "acme.error")?.fields["reason"]), /nobody is there/);
  authority.reachable = true;
  assert.deepEqual(here.pauses, [1.125]);
  await passes(here, () => issued(node));
});

Deno.test("a nonce that is not good any more costs another request", async () => {
  await using here = await world();
  const { authority } = here;
  const stale = { status: 400, body: { type: "urn:ietf:params:acme:error:badNonce", detail: "stale" } };
  authority.instead.set("/new-account", [stale]).set("/new-order", [stale, stale]);
  const node = await here.node();
  await passes(here, () => issued(node));
  assert.equal(authority.asked.filter((line) => line === "POST /new-account").length, 2);
  assert.equal(authority.asked.filter((line) => line === "POST /new-order").length, 3);
});

Deno.test("new addresses are told with the next order, and an account that was lost is made again", async () => {
  await using here = await world();
  const { authority } = here;
  const first = await here.node();
  await passes(here, () => issued(first));
  const next = here.config({ contacts: ["mailto:ana@example.net"], domains: ["new.example.net"] });
  const second = await here.node(next);
  await passes(here, () => issued(second));
  assert.deepEqual([...authority.accounts.values()].map(({ contact }) => contact), [["mailto:ana@example.net"]]);
  authority.accounts.clear();
  const third = await here.node(here.config({ domains: ["third.example.net"] }));
  await passes(here, () => issued(third));
  assert.deepEqual([...authority.accounts.values()].map(({ contact }) => contact), [["mailto:postmaster@example.net"]]);
});

Deno.test("a challenge that is not offered is said to be missing, with those that there are", async () => {
  await using here = await world();
  const { authority, log } = here;
  authority.types = ["dns-01"];
  await here.node();
  await passes(here, () => log.count("acme.auth-error") === 1);
  assert.match(String(log.events.at(-2)?.fields["reason"]), /does not offer http-01 for it, only dns-01/);
});

Deno.test("without its store a node keeps what it has, and orders when the store is back", async () => {
  await using here = await world();
  const { authority } = here;
  let lost = true;
  const node = await here.node(here.config(), {
    wrap: (records) =>
      new Proxy(records, {
        get: (target, name: keyof AcmeRecords) =>
          lost ? () => Promise.reject(new StoreUnavailable("lost", false)) : target[name],
      }),
  });
  await later(here, 5 * MINUTE);
  assert.equal(authority.asked.length, 0);
  lost = false;
  await passes(here, () => issued(node));
});

Deno.test("a stop ends an order that is under way", async () => {
  await using here = await world();
  const { authority, log } = here;
  const node = await here.node();
  let hanging = 0;
  authority.look = () => (hanging++, new Promise(() => {}));
  await passes(here, () => hanging === 1);
  await node.keeper.close();
  assert.equal(log.count("acme.auth-error"), 0);
});
