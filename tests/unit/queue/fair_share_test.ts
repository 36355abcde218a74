import assert from "node:assert/strict";
import fc from "fast-check";
import { createFairShare, type Reached, reachedBy, type Sharer } from "../../../src/queue/fair_share.ts";
import type { LastError, Outcome } from "../../../src/queue/types.ts";
import { FakeClock } from "../../support/fake_clock.ts";

let ids = 0;
const job = (destination: string, sender = "a.example", more: Partial<Sharer> = {}): Sharer => ({
  destination,
  oneOfMany: false,
  sender,
  priority: 0,
  due: 0,
  message: { id: ++ids },
  hold: undefined,
  ...more,
});

/** A share with `limit` places and what waits in it. */
function shareOf(limit: number, jobs: readonly Sharer[]) {
  const clock = new FakeClock();
  const share = createFairShare<Sharer>(clock);
  share.limit = limit;
  for (const one of jobs) share.push(one);
  /** Takes until there is no place, or nobody who may have it. */
  const takeAll = (): Sharer[] => {
    const taken: Sharer[] = [];
    for (let next = share.take(); next !== undefined; next = share.take()) taken.push(next);
    return taken;
  };
  /** Runs everything one after the other; who went, in order. */
  const order = (name: (job: Sharer) => string): string => {
    let text = "";
    for (let next = share.take(); next !== undefined; next = share.take()) {
      text += name(next);
      share.end(next, "yes", 1);
    }
    return text;
  };
  return { clock, share, takeAll, order };
}

const times = <Item>(count: number, make: (index: number) => Item) => Array.from({ length: count }, (_, i) => make(i));
const count = (jobs: readonly Sharer[], destination: string) =>
  jobs.filter((one) => one.destination === destination).length;

Deno.test("senders take turns, however much one of them has sent before", () => {
  const { order } = shareOf(1, [
    ...times(4, () => job("x", "bulk")),
    job("x", "ana"),
    job("x", "ana"),
    job("x", "eve"),
  ]);
  assert.equal(order(({ sender }) => sender.slice(0, 1)), "baebabb");
});

Deno.test("so do the destinations of a sender", () => {
  const { order } = shareOf(1, [...times(3, () => job("x")), job("y"), job("z"), job("z")]);
  assert.equal(order(({ destination }) => destination), "xyzxzx");
});

Deno.test("priority goes before any turn, and what came due first before what came later", () => {
  const { order } = shareOf(1, [
    job("x", "s", { due: 3, priority: -1 }),
    job("x", "s", { due: 2 }),
    job("x", "s", { due: 1 }),
    job("x", "t", { due: 9, priority: 5 }),
    job("x", "s", { due: 8, priority: 5 }),
  ]);
  assert.equal(order(({ due }) => String(due)), "98123");
});

Deno.test("a destination that is alone may have every place", () => {
  assert.equal(shareOf(10, times(20, () => job("x"))).takeAll().length, 10);
});

Deno.test("one of many leaves places to others before any of them is seen", () => {
  assert.equal(shareOf(10, times(20, () => job("x", "s", { oneOfMany: true }))).takeAll().length, 8);
  assert.equal(shareOf(1, times(2, () => job("x", "s", { oneOfMany: true }))).takeAll().length, 1);
});

Deno.test("one among others leaves places to them, and gets what they do not use", () => {
  const { share, takeAll } = shareOf(10, [...times(20, () => job("slow")), job("quick")]);
  const taken = takeAll();
  assert.deepEqual([count(taken, "slow"), count(taken, "quick")], [8, 1]);
  // Whoever comes later finds a place at once although nothing has ended.
  share.push(job("later"));
  assert.equal(share.take()?.destination, "later");
  share.push(job("more"));
  assert.equal(share.take(), undefined);
  share.end(taken.find(({ destination }) => destination === "quick")!, "yes", 1);
  assert.equal(share.take()?.destination, "more");
});

Deno.test("two slow destinations leave places, too", () => {
  const { takeAll } = shareOf(100, times(400, (i) => job(i % 2 === 0 ? "x" : "y")));
  const taken = takeAll();
  // Each has four times what both leave: 44 + 44 of 100.
  assert.ok(taken.length >= 85 && taken.length <= 92, String(taken.length));
  assert.ok(Math.abs(count(taken, "x") - count(taken, "y")) <= 1);
});

for (const places of [2, 3, 4, 5, 9]) {
  Deno.test(`of ${places} places one is left to others, whether a destination was quick before or not`, () => {
    for (const before of [undefined, "yes", "no"] as const) {
      const { share, takeAll } = shareOf(places, [job("quick")]);
      for (const one of takeAll()) share.end(one, "yes", 1);
      if (before !== undefined) {
        share.push(job("hanging"));
        for (const one of takeAll()) share.end(one, before, 1);
      }
      for (const one of times(20, () => job("hanging"))) share.push(one);
      assert.ok(takeAll().length < places);
      share.push(job("quick"));
      const taken = takeAll();
      assert.equal(count(taken, "quick"), 1, String(before));
    }
  });
}

Deno.test("one of many that nobody else is seen beside has every place of a few while it answers soon", async () => {
  const many = { oneOfMany: true };
  const { clock, share, takeAll } = shareOf(2, times(9, () => job("x", "s", many)));
  const [first] = takeAll();
  assert.equal(share.running, 1, "it may hang");
  await clock.advance(500);
  share.end(first!, "yes", 500);
  const both = takeAll();
  assert.equal(both.length, 2);
  // An attempt that takes long is a warning.
  share.end(both[0]!, "yes", 500);
  await clock.advance(4000);
  assert.deepEqual(takeAll(), []);
  share.end(both[1]!, "yes", 4500);
  const [alone] = takeAll();
  assert.equal(share.running, 1, "the last was slow");
  share.end(alone!, "yes", 100);
  assert.equal(takeAll().length, 2);
});

Deno.test("urgent mail takes the last of few places, also behind others of its destination", () => {
  const { share, takeAll } = shareOf(2, [job("y"), job("x", "s"), job("x", "s"), job("x", "t")]);
  const taken = takeAll();
  assert.deepEqual([count(taken, "x"), count(taken, "y")], [1, 1]);
  share.end(taken.find(({ destination }) => destination === "y")!, "yes", 1);
  assert.equal(share.take(), undefined);
  share.push(job("x", "t", { priority: 4 }));
  assert.equal(share.take()?.priority, 4);
  // As well if it was there before a place came free.
  share.push(job("x", "u", { priority: 4 }));
  assert.equal(share.take(), undefined);
  share.end(taken.find(({ destination }) => destination === "x")!, "unknown", 1);
  assert.equal(share.take()?.priority, 4);
});

Deno.test("ten minutes after the last of several destinations was seen, one may have every place again", async () => {
  const { clock, share, takeAll } = shareOf(10, [...times(20, () => job("x")), job("y")]);
  for (const one of takeAll()) share.end(one, "yes", 1);
  await clock.advance(600_000);
  assert.equal(takeAll().length, 10);
});

Deno.test("a destination that cannot be reached is tried less and less, one that can more and more", () => {
  const { share, takeAll } = shareOf(100, times(2000, () => job("x")));
  let running = takeAll();
  assert.equal(running.length, 100);
  const widths: number[] = [];
  for (const reached of [...times(8, () => "no"), ...times(8, () => "yes")] as Reached[]) {
    const before = running;
    running = [];
    for (const one of before) share.end(one, reached, 10);
    running = takeAll();
    widths.push(running.length);
  }
  assert.deepEqual(widths.slice(0, 8).at(-1), 1);
  assert.deepEqual(widths.slice(8), [2, 4, 8, 16, 32, 64, 100, 100]);
});

Deno.test("attempts that say nothing about a destination change nothing", () => {
  const { share, takeAll } = shareOf(4, times(8, () => job("x")));
  for (const one of takeAll()) share.end(one, "unknown", 10);
  assert.equal(takeAll().length, 4);
});

Deno.test("jobs beyond what memory holds for a destination go back, a turn each", () => {
  const { clock, share, takeAll } = shareOf(10, [
    ...times(1500, (i) => job("dead", `s${i % 7}`, { due: i })),
    ...times(3, () => job("dead", "s1", { hold: {} })),
  ]);
  const first = takeAll();
  first.forEach((one) => share.end(one, "no", 60_000));
  // One is tried, the rest waits and is not counted as able to go.
  assert.equal(takeAll().length, 1);
  assert.ok(share.claimed <= 1, String(share.claimed));
  const out = share.surplus();
  assert.ok(out.length > 900 && out.length < 1100, String(out.length));
  assert.ok(out.every(({ hold }) => hold === undefined), "what is in memory only stays");
  assert.deepEqual(share.surplus(), []);
  const turns = out.map((one) => share.turn(one));
  assert.ok(turns.every((turn, i) => turn >= 1000 && turn <= 600_000 && (i === 0 || turn >= turns[i - 1]!)));
  assert.ok(turns.at(-1)! > turns[0]!);
  assert.equal(clock.pending, 0);
  // Another destination is served as ever.
  share.push(job("fine"));
  assert.equal(share.take()?.destination, "fine");
});

Deno.test("whatever happens, each job leaves once and none is forgotten", () => {
  const event = fc.record({
    destination: fc.constantFrom("v", "w", "x", "y", "z"),
    sender: fc.constantFrom("a", "b", "c"),
    priority: fc.constantFrom(-4, 0, 4),
    fresh: fc.boolean(),
    takes: fc.nat(4),
    ends: fc.nat(4),
    reached: fc.constantFrom<Reached>("yes", "no", "unknown"),
  });
  fc.assert(fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), (events, limit) => {
    const { share } = shareOf(limit, []);
    const running: Sharer[] = [];
    const left = new Set<Sharer>();
    let pushed = 0;
    const take = (): boolean => {
      const next = share.take();
      if (next === undefined) return false;
      assert.ok(!left.has(next));
      left.add(next);
      running.push(next);
      assert.ok(running.length <= limit);
      assert.equal(share.running, running.length);
      return true;
    };
    const end = (reached: Reached) => {
      const one = running.shift();
      if (one !== undefined) share.end(one, reached, 5);
    };
    for (const { destination, sender, priority, fresh, takes, ends, reached } of events) {
      share.push(job(destination, sender, { priority, hold: fresh ? {} : undefined }));
      pushed++;
      for (let i = 0; i < takes; i++) take();
      for (let i = 0; i < ends; i++) end(reached);
    }
    for (let i = 0; i < 1000 && left.size < pushed; i++) {
      while (take());
      end("no");
    }
    assert.equal(left.size, pushed);
    assert.equal(share.claimed, 0);
    assert.deepEqual(share.clear(), []);
  }));
});

Deno.test("of urgent jobs those count as claimed that have a place to go to and did not come from memory", () => {
  const { share } = shareOf(2, [
    job("x", "s", { priority: 1 }),
    job("y", "t", { priority: 9 }),
    job("y", "t", { priority: 9, hold: {} }),
    ...times(5, () => job("z")),
  ]);
  assert.deepEqual([share.urgent, share.claimed], [2, 7]);
  // The urgent one of memory counts for nobody; it and the other of y go first.
  share.take();
  share.take();
  assert.deepEqual([share.urgent, share.claimed], [1, 6]);
  assert.deepEqual([...share.senders()].sort(), [["a.example", 5], ["s", 1]]);
  share.clear();
  assert.equal(share.urgent, 0);
});

Deno.test("clearing gives everything that waits, and what runs may still end", () => {
  const { share, takeAll } = shareOf(3, [...times(9, () => job("x")), job("y")]);
  const running = takeAll();
  assert.deepEqual([count(running, "x"), count(running, "y")], [2, 1]);
  assert.equal(share.clear().length, 7);
  assert.equal(share.claimed, 0);
  running.forEach((one) => share.end(one, "yes", 1));
  assert.equal(share.running, 0);
  share.push(job("x"));
  assert.equal(share.take()?.destination, "x");
});

Deno.test("a destination counts as reached when anybody there said something", () => {
  const one = (kind: "deferred" | "failed", lastError: LastError, status = 0): Outcome => ({
    kind,
    recipient: 1,
    detail: { lastError, status, enhanced: "4.0.0", text: "", host: "" },
  });
  assert.equal(reachedBy([one("deferred", "connection")]), "no");
  assert.equal(reachedBy([one("deferred", "dns")]), "no");
  assert.equal(reachedBy([one("deferred", "connection"), one("deferred", "unexpected-reply", 450)]), "yes");
  assert.equal(reachedBy([one("failed", "unexpected-reply", 550)]), "yes");
  assert.equal(reachedBy([one("deferred", "rate")]), "unknown");
  assert.equal(reachedBy([one("failed", "dns")]), "unknown");
  assert.equal(reachedBy([]), "unknown");
});
