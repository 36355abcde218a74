/** A reader that waits makes the peer wait, through TLS as well. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { systemClock } from "../../../src/clock/mod.ts";
import { connect, createCertificateStore } from "../../../src/net/mod.ts";
import { nodeByteStream } from "../../../src/net/byte_stream.ts";
import { socketDuplex } from "../../../src/net/socket_duplex.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startListener, TLS } from "./fixture.ts";

/** Turns of the event loop, more than enough for what is under way in memory. */
async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setTimeout(resolve, 0));
}

Deno.test("a stream over a socket that is held reads nothing more from it, and goes on where it stopped", async () => {
  let reads = 0;
  const socket = {
    async read(buffer: Uint8Array) {
      buffer.fill(++reads);
      await turns(1);
      return buffer.length;
    },
    close() {},
  } as unknown as Deno.TcpConn;
  const duplex = socketDuplex(socket, undefined);
  const seen: number[] = [];
  duplex.on("data", (chunk: Uint8Array) => {
    seen.push(chunk[0] ?? 0);
    if (seen.length === 3) duplex.hold();
  });
  await turns();
  const held = reads;
  // One that was under way when the gate closed may still come.
  assert.ok(held <= 4, `${held} reads`);
  await turns();
  assert.equal(reads, held);
  duplex.goOn();
  while (seen.length < 10) await turns(1);
  assert.deepEqual(seen.slice(0, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  duplex.destroy();
});

Deno.test("what lies under a stream is held while nobody reads, and goes on when half is taken", async () => {
  const calls: string[] = [];
  const gate = { hold: () => void calls.push("hold"), goOn: () => void calls.push("go on") };
  const source = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const stream = nodeByteStream(source, new FakeClock(), gate);
  for (let i = 0; i < 4; i++) source.push(Buffer.alloc(16 * 1024, i));
  await turns(5);
  assert.deepEqual(calls, ["hold"]);
  const buffer = new Uint8Array(16 * 1024);
  await stream.read(buffer);
  await stream.read(buffer);
  assert.deepEqual(calls, ["hold"]);
  await stream.read(buffer);
  assert.deepEqual(calls, ["hold", "go on"]);
  assert.deepEqual([buffer[0], await stream.read(buffer), buffer[0]], [2, 16 * 1024, 3]);
  stream.close();
});

for (const localIp of [undefined, "127.0.0.9"]) {
  Deno.test(`a server that floods a client over TLS has to wait${localIp ? ", from a chosen address too" : ""}`, async () => {
    const certificate = await makeCertificate({ names: ["mx.example"] });
    const flood = new Uint8Array(64 * 1024);
    let sent = 0;
    const listener = startListener(async (connection) => {
      try {
        for (; sent < 256 * flood.length; sent += flood.length) await connection.write(flood);
      } catch {
        // The client has left in the end.
      }
    }, {
      certificates: createCertificateStore([certificateConfig("main", certificate)]),
      config: { tls: { ...TLS, implicit: true } },
    });
    const connection = await connect({
      ...{ ip: "127.0.0.1", port: listener.port, localIp, timeout: 5000, clock: systemClock },
      tls: { serverName: "mx.example", verify: "none", timeout: 5000 },
    });
    for (let before = -1; sent === 0 || sent > before;) {
      before = sent;
      await turns(200);
    }
    // What the system holds between the two comes to some megabytes.
    assert.ok(sent < 200 * flood.length, `${sent} octets were taken`);
    connection.close();
    await listener.idle();
    await listener.close();
  });
}
