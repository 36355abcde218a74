import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { ScheduleConfig } from "../../../src/config/config.ts";
import type { MessageRecord, RecipientRecord } from "../../../src/queue/record.ts";
import { countNotice, expiryOf, nextLook, noticeTimes, pauseAfter } from "../../../src/queue/schedule.ts";
import { deadlineDetail, settleDeferral, triage } from "../../../src/queue/settle.ts";
import { createStrategy, type Strategy } from "../../../src/queue/strategy.ts";
import type { FailureDetail } from "../../../src/queue/types.ts";
import { computed, noFunctions, queueConfig, schedule } from "../../support/store.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const T0 = Date.UTC(2026, 0, 5, 12);

function message(rest: Partial<MessageRecord> = {}): MessageRecord {
  return {
    id: 1,
    created: T0,
    envelope: { sender: "a@example.org", parameters: {} },
    source: "unauthenticated",
    priority: 0,
    size: 10,
    holdUntil: undefined,
    receivedFromIp: "",
    receivedViaPort: 0,
    authenticatedAs: "",
    heloDomain: "",
    addresses: ["b@example.net"],
    blob: undefined,
    ...rest,
  };
}

function recipient(rest: Partial<RecipientRecord> = {}): RecipientRecord {
  return {
    seq: 0,
    address: "b@example.net",
    domain: "example.net",
    parameters: {},
    queue: "remote",
    attempts: 0,
    notified: 0,
    flags: 0,
    attemptAt: T0,
    extended: 0,
    expires: T0 + 10 * HOUR,
    lastError: "none",
    lastStatus: 0,
    lastDetail: undefined,
    ...rest,
  };
}

const GREYLISTED: FailureDetail = {
  lastError: "unexpected-reply",
  status: 451,
  enhanced: "4.7.1",
  text: "later",
  host: "mx.example.net",
};

function strategyOf(one: ScheduleConfig): Strategy {
  return createStrategy(queueConfig({ schedules: [one] }), noFunctions, () => {});
}

Deno.test("the pauses of a schedule follow its list, and the last one repeats", () => {
  const one = schedule("remote", { retry: [1, 2, 3] });
  assert.deepEqual([1, 2, 3, 4, 50].map((attempts) => pauseAfter(one, attempts)), [1, 2, 3, 3, 3]);
});

Deno.test("life is counted from acceptance, or from the end of a FUTURERELEASE hold", () => {
  const one = schedule("remote", { expire: 5 * HOUR, notify: [HOUR] });
  assert.equal(expiryOf(message(), one), T0 + 5 * HOUR);
  const held = message({ holdUntil: T0 + 100 * HOUR });
  assert.equal(expiryOf(held, one), T0 + 105 * HOUR);
  assert.deepEqual(noticeTimes(held, one), [T0 + 101 * HOUR]);
  assert.equal(expiryOf(message(), schedule("remote", { expire: undefined, maxAttempts: 3 })), undefined);
});

Deno.test("DELIVERBY in return mode ends a life earlier, in notify mode it adds a delay notice", () => {
  const one = schedule("remote", { expire: 5 * HOUR, notify: [4 * HOUR] });
  const by = (mode: "return" | "notify", seconds: number) =>
    message({ envelope: { sender: "", parameters: { by: { mode, seconds, trace: false } } } });
  assert.equal(expiryOf(by("return", 7200), one), T0 + 2 * HOUR);
  assert.equal(expiryOf(by("return", 720_000), one), T0 + 5 * HOUR);
  assert.equal(expiryOf(by("notify", 7200), one), T0 + 5 * HOUR);
  assert.deepEqual(noticeTimes(by("notify", 7200), one), [T0 + 2 * HOUR, T0 + 4 * HOUR]);
});

Deno.test("a waiting recipient is looked at for its attempt, its end or its next notice, whichever is first", () => {
  const one = schedule("remote", { notify: [HOUR, 6 * HOUR] });
  const at = (hours: number) => T0 + hours * HOUR;
  const tried = { attempts: 1, expires: at(5) };
  assert.equal(nextLook(recipient({ ...tried, attemptAt: at(0.5) }), message(), one), at(0.5));
  assert.equal(nextLook(recipient({ ...tried, attemptAt: at(3) }), message(), one), at(1));
  assert.equal(nextLook(recipient({ ...tried, attemptAt: at(3), notified: 1 }), message(), one), at(3));
  assert.equal(nextLook(recipient({ ...tried, attemptAt: at(9), notified: 1 }), message(), one), at(5));
});

Deno.test("several missed notices make one", () => {
  const one = schedule("remote", { notify: [HOUR, 2 * HOUR, 3 * HOUR] });
  assert.equal(countNotice(recipient(), message(), one, T0 + 2.5 * HOUR), 2);
  assert.equal(countNotice(recipient({ notified: 2 }), message(), one, T0 + 2.5 * HOUR), 2);
});

Deno.test("a deferral plans the next attempt and keeps what failed", async () => {
  const strategy = strategyOf(schedule("remote", { retry: [60 * SECOND], expire: 5 * HOUR }));
  const settled = await settleDeferral(message(), recipient(), GREYLISTED, strategy, T0 + SECOND);
  assert.equal(settled.kind, "deferred");
  const { attempts, attemptAt, expires, lastError, lastStatus, lastDetail } = settled.recipient;
  assert.deepEqual({ attempts, attemptAt, expires, lastError, lastStatus, lastDetail }, {
    attempts: 1,
    attemptAt: T0 + 61 * SECOND,
    expires: T0 + 5 * HOUR,
    lastError: "unexpected-reply",
    lastStatus: 451,
    lastDetail: GREYLISTED,
  });
});

Deno.test("a limit of our own neither counts as an attempt nor keeps a message forever", async () => {
  const strategy = strategyOf(schedule("remote", { expire: 5 * HOUR }));
  const soon = await settleDeferral(message(), recipient(), GREYLISTED, strategy, T0, { retryAfter: 5 * SECOND });
  assert.equal(soon.kind, "deferred");
  assert.deepEqual([soon.recipient.attempts, soon.recipient.attemptAt], [0, T0 + 5 * SECOND]);
  const late = await settleDeferral(message(), recipient(), GREYLISTED, strategy, T0 + 6 * HOUR, {
    retryAfter: 5 * SECOND,
  });
  assert.equal(late.kind, "failed");
});

Deno.test("what is put off again without an attempt, for the same as before, is said to be a repetition", async () => {
  const strategy = strategyOf(schedule("remote", { expire: 5 * HOUR }));
  const detail = (text: string, lastError: "rate" | "io" = "io") => ({ ...GREYLISTED, lastError, status: 0, text });
  const again = async (first: FailureDetail, second: FailureDetail, how: Parameters<typeof settleDeferral>[5]) => {
    const before = await settleDeferral(message(), recipient(), first, strategy, T0, how);
    assert.ok(before.kind === "deferred" && before.repeated === undefined);
    const after = await settleDeferral(message(), before.recipient, second, strategy, T0, how);
    return after.kind === "deferred" && after.repeated === true;
  };
  const soon = { retryAfter: SECOND };
  assert.equal(await again(detail("counters are away"), detail("counters are away"), soon), true);
  assert.equal(await again(detail("counters are away"), detail("they are locked"), soon), false);
  // A limit is the same limit whatever it says of its count.
  assert.equal(await again(detail("1 left", "rate"), detail("2 left", "rate"), { ...soon, limited: true }), true);
  assert.equal(await again(GREYLISTED, GREYLISTED, {}), false, "an attempt is an attempt");
});

Deno.test("hosts that are left alone as they are down advance the schedule, but are never the last attempt", async () => {
  const strategy = strategyOf(schedule("remote", { retry: [60 * SECOND, HOUR], expire: undefined, maxAttempts: 3 }));
  const untried = { notBefore: 5 * SECOND, untried: true } as const;
  const second = await settleDeferral(message(), recipient({ attempts: 1 }), GREYLISTED, strategy, T0, untried);
  assert.ok(second.kind === "deferred");
  assert.deepEqual([second.recipient.attempts, second.recipient.attemptAt], [2, T0 + HOUR]);
  const third = await settleDeferral(message(), second.recipient, GREYLISTED, strategy, T0, untried);
  assert.ok(third.kind === "deferred");
  assert.deepEqual([third.recipient.attempts, third.recipient.attemptAt], [2, T0 + HOUR]);
  const tried = await settleDeferral(message(), third.recipient, GREYLISTED, strategy, T0);
  assert.equal(tried.kind, "failed");
});

Deno.test("a schedule that cannot be asked leaves queue and end of life as they were", async () => {
  const config = queueConfig({
    schedule: computed(() => {
      throw new LookupUnavailable("no directory");
    }),
  });
  const strategy = createStrategy(config, noFunctions, () => {});
  const before = recipient({ queue: "bulk", expires: T0 + 3 * HOUR });
  const settled = await settleDeferral(message(), before, GREYLISTED, strategy, T0);
  assert.equal(settled.kind, "deferred");
  assert.deepEqual([settled.recipient.queue, settled.recipient.expires], ["bulk", T0 + 3 * HOUR]);
});

Deno.test("claimed recipients are tried, given up, cancelled, held or reported, each as it stands", async () => {
  const strategy = strategyOf(schedule("remote", { notify: [HOUR], expire: 10 * HOUR }));
  const now = T0 + 2 * HOUR;
  const list = [
    recipient({ seq: 0 }),
    recipient({ seq: 1, attempts: 3, attemptAt: now }),
    recipient({ seq: 2, attempts: 3, attemptAt: now + HOUR }),
    recipient({ seq: 3, attempts: 3, attemptAt: now + HOUR, expires: now, lastDetail: GREYLISTED }),
    recipient({ seq: 4, attempts: 0, attemptAt: now + HOUR, expires: now - 1 }),
    recipient({ seq: 5, flags: 1 }),
    recipient({ seq: 6, flags: 2 }),
    recipient({ seq: 7, attempts: 0, expires: now - 1 }),
  ];
  const { attempts, settled } = await triage(message(), list, strategy, now);
  assert.deepEqual(attempts.map(({ seq }) => seq), [0, 1, 7]);
  assert.deepEqual(
    settled.map((one) => [one.recipient.seq, one.kind, one.kind === "waiting" && one.delayed]),
    [[2, "waiting", true], [3, "failed", false], [4, "failed", false], [5, "cancelled", false], [6, "waiting", false]],
  );
  const [reported, expired] = settled;
  assert.equal(reported?.kind === "waiting" ? reported.look : 0, now + HOUR);
  assert.equal(expired?.kind === "failed" ? expired.detail : undefined, GREYLISTED);
});

Deno.test("past a DELIVERBY deadline of mode R nothing is tried any more: it fails with 5.4.7", async () => {
  const strategy = strategyOf(schedule("remote", { expire: 10 * HOUR }));
  const late = message({
    envelope: { sender: "a@example.org", parameters: { by: { seconds: 3600, mode: "return", trace: false } } },
  });
  const list = [
    recipient({ seq: 0, expires: T0 + HOUR }),
    recipient({ seq: 1, attempts: 2, attemptAt: T0 + 3 * HOUR, expires: T0 + HOUR, lastDetail: GREYLISTED }),
  ];
  const before = await triage(late, list, strategy, T0 + HOUR - 1);
  assert.deepEqual([before.attempts.map(({ seq }) => seq), before.settled.map(({ kind }) => kind)], [[0], ["waiting"]]);
  // It is looked at again at the deadline, not at the next attempt.
  assert.equal(before.settled[0]?.kind === "waiting" ? before.settled[0].look : 0, T0 + HOUR);
  const { attempts, settled } = await triage(late, list, strategy, T0 + HOUR);
  assert.deepEqual(attempts, []);
  assert.deepEqual(
    settled.map((one) => one.kind === "failed" ? [one.expired, one.detail.enhanced, one.detail.status] : one.kind),
    [[true, "5.4.7", 0], [true, "5.4.7", 451]],
  );
  const deferred = await settleDeferral(late, list[0]!, GREYLISTED, strategy, T0 + HOUR);
  assert.equal(deferred.kind === "failed" ? deferred.detail.enhanced : "", "5.4.7");
  assert.match(deadlineDetail(late, GREYLISTED).text, /within the 3600 seconds .* The last attempt: later$/);
});

Deno.test("at a DELIVERBY deadline of mode N the sender hears of the delay once, and attempts go on", async () => {
  const strategy = strategyOf(schedule("remote", { expire: 10 * HOUR, notify: [] }));
  const late = message({
    envelope: { sender: "a@example.org", parameters: { by: { seconds: 3600, mode: "notify", trace: false } } },
  });
  const waiting = recipient({ attempts: 1, attemptAt: T0 + 2 * HOUR });
  assert.equal(nextLook(waiting, late, schedule("remote", { notify: [] })), T0 + HOUR);
  const { settled } = await triage(late, [waiting], strategy, T0 + HOUR);
  const [one] = settled;
  assert.ok(one?.kind === "waiting" && one.delayed && one.look === T0 + 2 * HOUR);
  const again = await triage(late, [one.recipient], strategy, T0 + 2 * HOUR);
  assert.equal(again.attempts.length, 1);
});
