/** Trusted keys that follow those of the zone (RFC 5011), on a clock that is moved by hand. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { keepAnchors } from "../../../src/dns/anchor_keeper.ts";
import { type FollowedKey, readAnchorFile, readAnchors, readKey } from "../../../src/dns/dnssec/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { dsOf, keyResponse, makeZoneKey, revoked, tagOf, type TestZoneKey } from "../../support/zone_keys.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;
const SECOND = 1000;

const first = await makeZoneKey();
const second = await makeZoneKey();
const zoneSigning = await makeZoneKey(256);
const stranger = await makeZoneKey();

interface World {
  readonly clock: FakeClock;
  /** What the zone publishes: its keys, and those that sign them; or why nobody answers. */
  zone: { keys: readonly TestZoneKey[]; signers: readonly TestZoneKey[] } | Error;
  file: string | undefined;
  readonly events: string[];
  asked: number;
  /** Questions that are being answered. */
  busy: number;
  start(lines: readonly string[], follows?: boolean): ReturnType<typeof keepAnchors>;
}

function world(zone: World["zone"]): World {
  const clock = new FakeClock();
  const made: World = {
    clock,
    zone,
    file: undefined,
    events: [],
    asked: 0,
    busy: 0,
    start(lines, follows = true) {
      const initial = readAnchors(lines);
      assert.ok(!("unreadable" in initial));
      return keepAnchors({
        initial,
        storage: {
          read: () => made.file,
          write(text) {
            made.file = text;
            return Promise.resolve();
          },
        },
        async ask() {
          made.asked++;
          if (made.zone instanceof Error) throw made.zone;
          const now = Math.floor(clock.now() / SECOND);
          const times = { inception: now - 86_400, expiration: now + 20 * 86_400 };
          made.busy++;
          // As sockets give it.
          return Buffer.from(await keyResponse(made.zone.keys, made.zone.signers, times).finally(() => made.busy--));
        },
        clock,
        emit: (name, fields = {}) => void made.events.push(`${name} ${fields.name ?? ""} ${fields.details}`),
        follows,
      });
    },
  };
  return made;
}

/** Signing is done apart from the clock, so time goes in steps, with a wait for it behind each. */
async function pass(here: World, milliseconds: number, step = 6 * HOUR): Promise<void> {
  const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  for (let left = milliseconds; left > 0; left -= step) {
    await here.clock.advance(Math.min(left, step));
    while (here.busy > 0) await turn();
    // What follows an answer plans the next question.
    await turn();
  }
}

/** Tags of the keys that are trusted, and the number of digests. */
function trusted(keeper: ReturnType<typeof keepAnchors>) {
  const [anchor] = keeper.anchors;
  return { tags: anchor?.keys.map(({ tag }) => tag).sort(), digests: anchor?.digests.length };
}

/** States in the file, by tag. */
function states({ file }: World): Record<string, string> {
  const zones = readAnchorFile(file ?? "");
  assert.ok(zones instanceof Map, JSON.stringify(zones));
  const root: readonly FollowedKey[] = zones.get("") ?? [];
  return Object.fromEntries(root.map(({ data, state }) => [readKey(data)?.tag, state]));
}

Deno.test("a new key counts after thirty days beside a trusted one, and stays when that is gone", async () => {
  const here = world({ keys: [first, zoneSigning], signers: [first] });
  const keeper = here.start([await dsOf(first)]);
  await pass(here, 60 * SECOND);
  assert.deepEqual(states(here), { [tagOf(first)]: "valid" });
  here.zone = { keys: [first, second, zoneSigning], signers: [first] };
  await pass(here, 2 * DAY);
  assert.deepEqual(states(here), { [tagOf(first)]: "valid", [tagOf(second)]: "pending" });
  assert.deepEqual(trusted(keeper).tags, [tagOf(first)]);
  await pass(here, 27 * DAY);
  assert.deepEqual(trusted(keeper).tags, [tagOf(first)]);
  await pass(here, 3 * DAY);
  assert.deepEqual(trusted(keeper).tags, [tagOf(first), tagOf(second)].sort());
  assert.deepEqual(here.events.map((text) => text.replace("network.trust-anchor . ", "")), [
    `key ${tagOf(first)}: valid`,
    `key ${tagOf(second)}: pending`,
    `key ${tagOf(second)}: valid`,
  ]);

  // RFC 5011 §6.3: the old key takes itself back.
  here.zone = { keys: [revoked(first), second, zoneSigning], signers: [revoked(first), second] };
  await pass(here, 2 * DAY);
  assert.deepEqual(states(here), { [tagOf(first)]: "revoked", [tagOf(second)]: "valid" });
  // Neither the key nor the digest that the configuration names counts any more.
  assert.deepEqual(trusted(keeper), { tags: [tagOf(second)], digests: 0 });
  here.zone = { keys: [second, zoneSigning], signers: [second] };
  await pass(here, 31 * DAY);
  assert.equal(states(here)[tagOf(first)], "removed");
  keeper.close();
  assert.equal(here.clock.pending, 0);

  // The next start goes on where this one has ended, also one that only reads.
  const again = here.start([await dsOf(first)], false);
  assert.deepEqual(trusted(again), { tags: [tagOf(second)], digests: 0 });
  assert.equal(here.clock.pending, 0);
});

Deno.test("thirty days are counted across a restart", async () => {
  const here = world({ keys: [first, second], signers: [first] });
  const before = here.start([await dsOf(first)]);
  // Both are there at the first look; only one of them is vouched for.
  await pass(here, 10 * DAY);
  before.close();
  const after = here.start([await dsOf(first)]);
  await pass(here, 19 * DAY);
  assert.equal(states(here)[tagOf(second)], "pending");
  await pass(here, 2 * DAY);
  assert.equal(states(here)[tagOf(second)], "valid");
  after.close();
});

Deno.test("a key that goes away before its thirty days are over begins anew when it comes back", async () => {
  const here = world({ keys: [first, second], signers: [first] });
  const keeper = here.start([await dsOf(first)]);
  await pass(here, 20 * DAY);
  here.zone = { keys: [first], signers: [first] };
  await pass(here, 2 * DAY);
  assert.deepEqual(states(here), { [tagOf(first)]: "valid" });
  here.zone = { keys: [first, second], signers: [first] };
  await pass(here, 29 * DAY);
  assert.equal(states(here)[tagOf(second)], "pending");
  await pass(here, 3 * DAY);
  assert.equal(states(here)[tagOf(second)], "valid");
  keeper.close();
});

Deno.test("a set that no trusted key has signed changes nothing", async () => {
  const here = world({ keys: [first], signers: [first] });
  const keeper = here.start([await dsOf(first)]);
  await pass(here, DAY);
  const before = here.file;
  here.zone = { keys: [first, stranger], signers: [stranger] };
  await pass(here, 40 * DAY);
  assert.equal(here.file, before);
  assert.deepEqual(trusted(keeper).tags, [tagOf(first)]);
  assert.ok(here.events.some((text) => /network\.trust-anchor-error .*cannot be believed/.test(text)));
  keeper.close();
});

Deno.test("a key that somebody else says is revoked is only missing, and still counts", async () => {
  const here = world({ keys: [first, second], signers: [first] });
  const keeper = here.start([await dsOf(first), await dsOf(second)]);
  await pass(here, DAY);
  // The mark is there, but not the signature of the key itself.
  here.zone = { keys: [revoked(first), second], signers: [second] };
  await pass(here, 2 * DAY);
  assert.equal(states(here)[tagOf(first)], "missing");
  assert.deepEqual(trusted(keeper).tags, [tagOf(first), tagOf(second)].sort());
  keeper.close();
});

Deno.test("a zone that takes back all its keys is trusted no more than others", async () => {
  const here = world({ keys: [first], signers: [first] });
  const keeper = here.start([await dsOf(first)]);
  await pass(here, DAY);
  // What comes beside it is vouched for by nobody.
  here.zone = { keys: [revoked(first), second], signers: [revoked(first)] };
  await pass(here, 2 * DAY);
  assert.deepEqual(keeper.anchors, []);
  assert.deepEqual(states(here), { [tagOf(first)]: "revoked" });
  keeper.close();
});

Deno.test("a key that has been taken back before the first look does not count", async () => {
  const here = world({ keys: [revoked(first), second], signers: [revoked(first), second] });
  const keeper = here.start([await dsOf(first), await dsOf(second)]);
  await pass(here, 60 * SECOND);
  assert.deepEqual(states(here), { [tagOf(first)]: "revoked", [tagOf(second)]: "valid" });
  assert.deepEqual(trusted(keeper), { tags: [tagOf(second)], digests: 1 });
  keeper.close();
});

Deno.test("without an answer it is tried again, and what is trusted stays", async () => {
  const here = world(new Error("no server answers"));
  const keeper = here.start([await dsOf(first)]);
  await pass(here, 3 * DAY, HOUR);
  assert.deepEqual(trusted(keeper), { tags: [], digests: 1 });
  assert.equal(here.file, undefined);
  // Each tenth of a day.
  assert.ok(here.asked >= 25 && here.asked <= 35, `${here.asked} questions`);
  here.zone = { keys: [first], signers: [first] };
  await pass(here, DAY);
  assert.deepEqual(states(here), { [tagOf(first)]: "valid" });
  keeper.close();
});

Deno.test("a file that cannot be read is told, and what the configuration names counts", async () => {
  const here = world({ keys: [first], signers: [first] });
  here.file = "nonsense\n";
  const keeper = here.start([await dsOf(first)]);
  assert.match(here.events[0] ?? "", /network\.trust-anchor-error .*a line that is no key: nonsense/);
  assert.equal(trusted(keeper).digests, 1);
  keeper.close();
});

Deno.test("a file that is cut short makes no key count that does not", async () => {
  const here = world({ keys: [first, second], signers: [first] });
  const keeper = here.start([await dsOf(first)]);
  await pass(here, 60 * SECOND);
  keeper.close();
  const whole = here.file ?? "";
  assert.deepEqual(states(here), { [tagOf(first)]: "valid", [tagOf(second)]: "pending" });
  let read = 0;
  for (let end = 0; end < whole.length; end++) {
    const zones = readAnchorFile(whole.slice(0, end));
    if ("unreadable" in zones) continue;
    read++;
    const counting = (zones.get("") ?? []).filter(({ state }) => state === "valid");
    assert.ok(counting.every(({ data }) => readKey(data)?.tag === tagOf(first)), whole.slice(0, end));
  }
  // Nothing, a piece of the first line, or whole lines.
  assert.ok(read < 40, `${read} pieces`);
});

Deno.test("files of unbound are read, with the states that it keeps", () => {
  const key = (n: number) => "AwEAAa" + String(n).repeat(300).slice(0, 338);
  const zones = readAnchorFile(`; autotrust trust anchor file
;;id: . 1
;;last_queried: 1767000000 ;;Mon Dec 29 10:00:00 2025
.\t86400\tIN\tDNSKEY\t257 3 8 ${
    key(1)
  } ;{id = 20326 (ksk), size = 2048b} ;;state=2 [  VALID  ] ;;count=0 ;;lastchange=1767000000 ;;Mon
.\t86400\tIN\tDNSKEY\t257 3 8 ${
    key(2)
  } ;{id = 38696 (ksk), size = 2048b} ;;state=1 [ ADDPEND ] ;;count=3 ;;lastchange=1767000001 ;;Mon
.\t86400\tIN\tDNSKEY\t385 3 8 ${
    key(3)
  } ;{id = 1 (ksk), size = 2048b} ;;state=4 [ REVOKED ] ;;count=3 ;;lastchange=1767000002 ;;Mon
example.net. IN DNSKEY 257 3 13 ${"A".repeat(86)}== ; put there by hand
`);
  assert.ok(zones instanceof Map, JSON.stringify(zones));
  const root: readonly FollowedKey[] = zones.get("") ?? [];
  assert.deepEqual(root.map(({ state, since }) => [state, since]), [
    ["valid", 1767000000000],
    ["pending", 1767000001000],
    ["revoked", 1767000002000],
  ]);
  assert.equal(zones.get("example.net")?.[0]?.state, "valid");
});
