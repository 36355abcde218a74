import assert from "node:assert/strict";
import { createConnectionBound } from "../../../src/directory/connection_bound.ts";
import { ConnectionBroken, createConnectionPool, type Pooled } from "../../../src/directory/connection_pool.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

interface Link extends Pooled {
  readonly number: number;
  alive: boolean;
  closed: boolean;
}

/** A pool of links that do nothing, on a clock that is moved by hand. */
function poolOf(
  options: { most?: number; open?: () => Promise<void>; recycle?: (link: Link) => Promise<void>; limit?: number } = {},
) {
  const clock = new FakeClock();
  const links: Link[] = [];
  const pool = createConnectionPool<Link>({
    label: "directory d: server",
    config: { maxConnections: options.most ?? 2, create: 30_000, wait: 20_000, recycle: 10_000 },
    clock,
    open: async () => {
      const link: Link = {
        number: links.length + 1,
        alive: true,
        closed: false,
        close: () => void (link.closed = true),
      };
      links.push(link);
      await options.open?.();
      return link;
    },
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(options.recycle === undefined ? {} : { recycle: options.recycle }),
  });
  return { clock, links, pool };
}

const never = () => new Promise<never>(() => {});

Deno.test("a connection is used again, one question at a time", async () => {
  const { links, pool } = poolOf();
  assert.equal(await pool.use((link) => Promise.resolve(link.number)), 1);
  assert.equal(await pool.use((link) => Promise.resolve(link.number)), 1);
  assert.deepEqual(await Promise.all([1, 2].map(() => pool.use((link) => settle().then(() => link.number)))), [1, 2]);
  assert.equal(links.length, 2);
  pool.close();
});

Deno.test("who finds all connections busy waits, and not for ever", async () => {
  const { clock, links, pool } = poolOf({ most: 1 });
  const first = Promise.withResolvers<void>();
  const busy = pool.use(() => first.promise);
  const second = pool.use((link) => Promise.resolve(link.number));
  await settle();
  first.resolve();
  await busy;
  assert.equal(await second, 1);
  assert.equal(links.length, 1);

  pool.use(never).catch(() => {});
  await settle();
  const late = pool.use(() => Promise.resolve(0));
  const outcome = assert.rejects(
    late,
    (error) => error instanceof LookupUnavailable && /all 1 connections were busy for 20 s/.test(error.message),
  );
  await clock.advance(20_000);
  await outcome;
});

Deno.test("a connection that does not come about in time is given up, and closed when it comes late", async () => {
  const opened = Promise.withResolvers<void>();
  const { clock, links, pool } = poolOf({ open: () => opened.promise });
  const outcome = assert.rejects(pool.use(() => Promise.resolve()), /directory d: server: no answer within 30 s/);
  await settle();
  await clock.advance(30_000);
  await outcome;
  opened.resolve();
  await settle();
  assert.equal(links[0]?.closed, true);
});

Deno.test("a kept connection that broke is replaced, a new one that breaks is a failure", async () => {
  const { links, pool } = poolOf();
  await pool.use(() => Promise.resolve());
  const answer = await pool.use((link) => {
    if (link.number > 1) return Promise.resolve("answer");
    link.alive = false;
    return Promise.reject(new ConnectionBroken("gone"));
  });
  assert.equal(answer, "answer");
  assert.equal(links[0]?.closed, true);
  const { pool: other } = poolOf();
  await assert.rejects(
    other.use((link) => {
      link.alive = false;
      return Promise.reject(new ConnectionBroken("gone"));
    }),
    (error) => error instanceof LookupUnavailable && error.message === "directory d: server: gone",
  );
  pool.close();
});

Deno.test("a connection that cannot be reset in time is replaced", async () => {
  const { clock, links, pool } = poolOf({ recycle: never });
  await pool.use(() => Promise.resolve());
  const number = pool.use((link) => Promise.resolve(link.number));
  await settle();
  await clock.advance(10_000);
  assert.equal(await number, 2);
  assert.equal(links[0]?.closed, true);
  pool.close();
});

Deno.test("idle connections are closed after a minute, and at once when the pool is", async () => {
  const { clock, links, pool } = poolOf();
  await pool.use(() => Promise.resolve());
  await clock.advance(60_000);
  assert.equal(links[0]?.closed, true);
  await pool.use(() => Promise.resolve());
  pool.close();
  assert.equal(links[1]?.closed, true);
  await pool.use(() => Promise.resolve());
  assert.equal(links[2]?.closed, true, "after that none is kept");
  assert.equal(clock.pending, 0);
});

Deno.test("both attempts together stay within the limit", async () => {
  const { clock, links, pool } = poolOf({ limit: 30_000 });
  const unanswered = (error: unknown) =>
    error instanceof LookupUnavailable && /no answer within 30 s/.test(error.message);
  await pool.use(() => Promise.resolve());

  // The kept connection takes all the time: no other one is tried.
  const silent = assert.rejects(pool.use(never), unanswered);
  await settle();
  await clock.advance(30_000);
  await silent;
  assert.deepEqual(links.map(({ closed }) => closed), [true]);

  // It breaks after 20 seconds: 10 are left for the new one.
  await pool.use(() => Promise.resolve());
  const breaks = Promise.withResolvers<never>();
  let attempts = 0;
  const broken = assert.rejects(pool.use(() => ++attempts === 1 ? breaks.promise : never()), unanswered);
  await settle();
  await clock.advance(20_000);
  breaks.reject(new ConnectionBroken("reset"));
  await settle();
  assert.equal(attempts, 2);
  await clock.advance(10_000);
  await broken;
  pool.close();
});

Deno.test("pools with one bound have so many connections together, idle ones included", async () => {
  const clock = new FakeClock();
  const config = { maxConnections: 2, create: 30_000, wait: 20_000, recycle: 10_000 };
  const bound = createConnectionBound("directory d: server", config, clock);
  let open = 0;
  let most = 0;
  const makePool = () =>
    createConnectionPool({
      label: "directory d: server",
      config,
      clock,
      bound,
      open: () => {
        most = Math.max(most, ++open);
        return Promise.resolve({ alive: true, close: () => void open-- });
      },
    });
  const logins = makePool();
  const callouts = makePool();
  const both = async (pool: typeof logins) => {
    await Promise.all([1, 2].map(() => pool.use(() => settle())));
    return open;
  };
  assert.equal(await both(logins), 2);
  // The two that are kept by one pool make room for those of the other.
  assert.equal(await both(callouts), 2);
  assert.equal(await both(logins), 2);
  const held = Promise.withResolvers<void>();
  const holding = Promise.all([logins, callouts].map((pool) => pool.use(() => held.promise)));
  await settle();
  const late = assert.rejects(logins.use(() => Promise.resolve()), /all 2 connections were busy for 20 s/);
  await clock.advance(20_000);
  await late;
  // Who waits is served whichever pool gives up its place.
  const next = logins.use(() => Promise.resolve("served"));
  held.resolve();
  await holding;
  assert.equal(await next, "served");
  assert.equal(most, 2);
  logins.close();
  callouts.close();
  assert.deepEqual([open, clock.pending], [0, 0]);
});
