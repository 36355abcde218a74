/** Hosts with addresses of both families: whoever answers first is used, and nothing is lost by the race (RFC 8305). */

import assert from "node:assert/strict";
import { type ClientConnection, connect, ConnectError, type ConnectOptions } from "../../../src/net/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type FakePeer, startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import { connection, inShort, jobFor, queueConfig, setUp, textOf } from "./setting.ts";

const SIX = "2001:db8::1";
const FOUR = "192.0.2.1";
type Answer = "silent" | "refused" | "late" | "at once";

/** A host with one address of each family, or as given, and how each of them answers. */
function hostWith(
  peer: FakePeer,
  answers: Readonly<Record<string, Answer>>,
  changes: { readonly limit?: number; readonly step?: number; readonly sourceIps?: readonly string[] } = {},
) {
  const clock = new FakeClock();
  const log: string[] = [];
  const open = new Set<string>();
  const began = clock.now();
  const at = () => clock.now() - began;
  const sources: string[] = [];
  let draws = 0;
  const make = async ({ ip, localIp, signal }: ConnectOptions): Promise<ClientConnection> => {
    log.push(`${ip} ${at()}`);
    if (localIp !== undefined) sources.push(localIp);
    const real = async () => {
      const made = await connect({ ip: "127.0.0.1", port: peer.port, timeout: 60_000, clock });
      open.add(ip);
      return { ...made, close: () => (open.delete(ip), made.close()), read: made.read, write: made.write };
    };
    const given = () => new ConnectError("aborted", "given up");
    switch (answers[ip]) {
      case "refused":
        throw new ConnectError("refused", `${ip} refused the connection`);
      case "at once":
        return await real();
      default: {
        const wait = answers[ip] === "late" ? 400 : 60_000;
        await new Promise<void>((resolve, reject) => {
          const timer = clock.after(wait, resolve);
          signal?.addEventListener("abort", () => {
            timer.cancel();
            log.push(`${ip} left`);
            reject(given());
          }, { once: true });
        });
        if (answers[ip] === "late") return await real();
        throw new ConnectError("timeout", `no connection to ${ip} within 60 s`);
      }
    }
  };
  const a = Object.keys(answers).filter((ip) => !ip.includes(":"));
  const aaaa = Object.keys(answers).filter((ip) => ip.includes(":"));
  const limits = { mx: 5, multihomed: changes.limit ?? 2 };
  const config = queueConfig([{ id: "mx", type: "mx", limits, ipLookup: "ipv4_then_ipv6" }], {
    connections: [{
      ...connection,
      pool: { ...connection.pool, maxMessages: 1 },
      sourceIps: [...changes.sourceIps ?? []],
    }],
  });
  const { deliver, delivery } = setUp(config, {
    resolver: createZone({ "d.example": { mx: [[10, "a.example"]] }, "a.example": { a, aaaa } }),
    mxPort: 25,
    connect: make,
    // Each draw is another one.
    random: () => (draws++ % 2) / 2,
    clock,
  });
  /** Delivers while time passes in steps. */
  const send = async (signal?: AbortSignal) => {
    let done = false;
    const delivering = deliver(jobFor(["u@d.example"], { route: "mx" }), signal).finally(() => done = true);
    for (let i = 0; i < 100_000 && !done; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (clock.pending > 0 && i % 5 === 4) await clock.advance(changes.step ?? 50);
    }
    return (await delivering)[0];
  };
  return { clock, log, open, sources, send, delivery };
}

Deno.test("a host whose first address is silent gets its mail by the other family after a quarter of a second", async () => {
  await using peer = await startFakePeer();
  const { log, open, send, delivery, clock } = hostWith(peer, { [FOUR]: "silent", [SIX]: "at once" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log, [`${FOUR} 0`, `${SIX} 250`, `${FOUR} left`]);
  // What was overtaken is not asked first again for ten minutes.
  log.length = 0;
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log.map((line) => line.split(" ")[0]), [SIX]);
  await clock.advance(600_000);
  log.length = 0;
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log.map((line) => line.split(" ")[0]), [FOUR, SIX, FOUR]);
  await delivery.close();
  assert.equal(open.size, 0, "every connection is closed");
});

Deno.test("the connection that came first is used from the source address that it was begun with", async () => {
  await using peer = await startFakePeer();
  const { log, sources, send, delivery } = hostWith(peer, { [FOUR]: "silent", [SIX]: "at once" }, {
    sourceIps: ["192.0.2.10", "2001:db8::10", "2001:db8::11"],
  });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log, [`${FOUR} 0`, `${SIX} 250`, `${FOUR} left`]);
  assert.equal(sources.length, 2);
  assert.equal(peer.connections.length, 1);
  await delivery.close();
});

Deno.test("an address that answers within its head start is the only one that is asked", async () => {
  await using peer = await startFakePeer();
  const { log, send, delivery } = hostWith(peer, { [FOUR]: "at once", [SIX]: "at once" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log, [`${FOUR} 0`]);
  await delivery.close();
});

Deno.test("one that is slow and still first is used; the other connection is given up", async () => {
  await using peer = await startFakePeer();
  const { log, open, send, delivery } = hostWith(peer, { [FOUR]: "late", [SIX]: "silent" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log, [`${FOUR} 0`, `${SIX} 250`, `${SIX} left`]);
  await delivery.close();
  assert.equal(open.size, 0);
});

Deno.test("a refused connection is no race: the next address is asked at once", async () => {
  await using peer = await startFakePeer();
  const { log, send, delivery } = hostWith(peer, { [FOUR]: "refused", [SIX]: "at once" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log.map((line) => line.split(" ")[0]), [FOUR, SIX]);
  await delivery.close();
});

Deno.test("a rival that fails leaves the first address its time", async () => {
  await using peer = await startFakePeer();
  const { log, send, delivery } = hostWith(peer, { [FOUR]: "late", [SIX]: "refused" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log, [`${FOUR} 0`, `${SIX} 250`]);
  await delivery.close();
});

Deno.test("where nobody answers all addresses are said to be silent, in the time of the first", async () => {
  await using peer = await startFakePeer();
  const { clock, log, send, delivery } = hostWith(peer, { [FOUR]: "silent", [SIX]: "silent" }, { step: 250 });
  const began = clock.now();
  const outcome = await send();
  assert.equal(inShort(outcome), "deferred connection 0 4.4.1");
  assert.match(textOf(outcome), /no connection to 2001:db8::1 within 60 s/);
  assert.deepEqual(log, [`${FOUR} 0`, `${SIX} 250`]);
  assert.ok(clock.now() - began < 61_000);
  await delivery.close();
});

Deno.test("one that was overtaken has its turn if the winner takes no mail", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, connection: { number } }) => verb === "greeting" && number === 1 ? "451 4.3.2 not now" : undefined,
  });
  const { log, send, delivery } = hostWith(peer, { [FOUR]: "late", [SIX]: "at once" });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log.map((line) => line.split(" ")[0]), [FOUR, SIX, FOUR, FOUR]);
  await delivery.close();
});

Deno.test("of several addresses of a family the winner's is next, then the others", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, connection: { number } }) => verb === "greeting" && number === 1 ? "451 4.3.2 not now" : undefined,
  });
  const answers = { [FOUR]: "silent", "192.0.2.2": "at once", [SIX]: "at once" } as const;
  const { log, send, delivery } = hostWith(peer, answers, { limit: 3 });
  assert.equal(inShort(await send()), "delivered");
  assert.deepEqual(log.filter((line) => !line.includes("left")).map((line) => line.split(" ")[0]), [
    FOUR,
    SIX,
    "192.0.2.2",
  ]);
  await delivery.close();
});

Deno.test("an attempt that is given up while two connections are made leaves neither", async () => {
  await using peer = await startFakePeer();
  const { clock, log, open, send, delivery } = hostWith(peer, { [FOUR]: "silent", [SIX]: "silent" });
  const stop = new AbortController();
  const sending = send(stop.signal);
  while (log.length < 2) await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort();
  assert.equal(inShort(await sending), "deferred none 0 4.3.2");
  await settle();
  assert.equal(log.filter((line) => line.includes("left")).length, 2);
  assert.equal(open.size, 0);
  await delivery.close();
  assert.equal(clock.pending, 0);
});
