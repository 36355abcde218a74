import assert from "node:assert/strict";
import type { AutoBanConfig } from "../../../src/config/config.ts";
import { type BanList, createAbuseWatch, type RateCounter, WATCHED_EVENTS } from "../../../src/throttle/mod.ts";
import type { EventFields, EventName } from "../../../src/telemetry/event.ts";
import { settle } from "../../support/fake_clock.ts";

const IP = "192.0.2.1";
const TWO = { count: 2, period: 1000 };

const CONFIG: AutoBanConfig = {
  auth: TWO,
  abuse: TWO,
  loiter: TWO,
  scan: TWO,
  scanPaths: ["*.php*", "*/wp-*"],
  expire: undefined,
};

/** Counters and list in memory. */
function watchOf(config: Partial<AutoBanConfig> = {}) {
  const counts = new Map<string, number>();
  const banned = new Map<string, string>();
  const events: [EventName, EventFields | undefined][] = [];
  const rates: RateCounter = {
    take(key, rate) {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, Math.min(count, rate.count));
      return count <= rate.count;
    },
    giveBack() {},
    forget(key) {
      counts.delete(key);
      return Promise.resolve();
    },
    fullUntil: () => undefined,
    isUsedUp: (key, rate) => Promise.resolve((counts.get(key) ?? 0) >= rate.count),
  };
  const bans: BanList = {
    has: (ip) => banned.has(ip),
    add: (ip, reason) => !banned.has(ip) && banned.set(ip, reason) !== undefined,
    set: () => Promise.reject(new Error("nobody sets a ban here")),
    list: () => Promise.resolve([]),
    remove: () => Promise.resolve(false),
    close() {},
  };
  const watch = createAbuseWatch({
    config: { ...CONFIG, ...config },
    rates,
    bans,
    emit: (name, fields) => events.push([name, fields]),
    allowed: (ip) => ip === "127.0.0.1",
  });
  return {
    watch,
    banned,
    events,
    async see(times: number, name: EventName, fields: EventFields) {
      for (let i = 0; i < times; i++) {
        watch.observe({ name, fields });
        await settle();
      }
    },
  };
}

const CASES: readonly [what: string, event: EventName, fields: EventFields, reason: string, ban: EventName][] = [
  ["a failed login", "auth.failed", { account: "x" }, "auth", "security.authentication-ban"],
  ["a relay attempt", "smtp.relay-not-allowed", {}, "abuse", "security.abuse-ban"],
  ["an unknown recipient", "smtp.mailbox-does-not-exist", {}, "abuse", "security.abuse-ban"],
  ["an idle connection", "smtp.connection-end", { reason: "timeout", commands: 1 }, "loiter", "security.loiter-ban"],
  [
    "a connection without a word",
    "smtp.connection-end",
    { reason: "closed", commands: 0 },
    "scan",
    "security.scan-ban",
  ],
  ["a scanner's path", "http.request-url", { path: "/x/WP-login.PHP" }, "scan", "security.scan-ban"],
];

for (const [what, event, fields, reason, ban] of CASES) {
  Deno.test(`${what} bans an address when it is over the rate of ${reason}`, async () => {
    assert.ok((WATCHED_EVENTS as readonly string[]).includes(event));
    const { see, banned, events } = watchOf();
    await see(2, event, { remoteIp: IP, ...fields });
    await see(2, event, { remoteIp: "192.0.2.2", ...fields });
    assert.deepEqual([...banned], []);
    await see(3, event, { remoteIp: IP, ...fields });
    assert.deepEqual([...banned], [[IP, reason]]);
    assert.deepEqual(events, [[ban, { remoteIp: IP }]]);
  });

  Deno.test(`${what} is not counted for an allowed address, nor where its rate is false`, async () => {
    const { see, banned } = watchOf();
    await see(9, event, { remoteIp: "127.0.0.1", ...fields });
    assert.deepEqual([...banned], []);
    const off = watchOf({ [reason]: undefined });
    await off.see(9, event, { remoteIp: IP, ...fields });
    assert.deepEqual([...off.banned], []);
  });
}

Deno.test("what clients do right is not counted", async () => {
  const { see, banned } = watchOf();
  await see(9, "smtp.connection-end", { remoteIp: IP, reason: "quit", commands: 3 });
  await see(9, "smtp.connection-end", { remoteIp: IP, reason: "closed", commands: 1 });
  await see(9, "http.request-url", { remoteIp: IP, path: "/api/queue" });
  assert.deepEqual([...banned], []);
});

Deno.test("a login over the rate is refused from everywhere, whatever its case, and others are not", async () => {
  const { see, watch } = watchOf();
  await see(1, "auth.failed", { remoteIp: "192.0.2.1", account: "ana" });
  await see(1, "auth.failed", { remoteIp: "192.0.2.2", account: "Ana" });
  assert.equal(await watch.loginRefused("ana"), false);
  await see(1, "auth.failed", { remoteIp: "192.0.2.3", account: "ana" });
  assert.equal(await watch.loginRefused("ANA"), true);
  assert.equal(await watch.loginRefused("bob"), false);
  watch.reconfigure({ ...CONFIG, auth: undefined });
  assert.equal(await watch.loginRefused("ana"), false);
});
