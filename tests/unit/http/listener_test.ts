import assert from "node:assert/strict";
import type { ListenerConfig } from "../../../src/config/config.ts";
import { type HttpApp, type RequestInfo, startHttpListener } from "../../../src/http/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function listener(changes: Partial<ListenerConfig> = {}): ListenerConfig {
  return {
    id: "admin",
    bind: [{ ip: "127.0.0.1", port: 0 }],
    protocol: "http",
    maxConnections: 10,
    greeting: undefined,
    tls: {
      enable: true,
      implicit: false,
      timeout: 60_000,
      disableProtocols: [],
      disableCiphers: [],
      ignoreClientOrder: true,
      certificate: undefined,
    },
    socket: { reuseAddr: true, reusePort: true, backlog: 128, nodelay: true },
    proxyTrustedNetworks: [],
    ...changes,
  };
}

const silent = { emit: () => {} };

/** An app that remembers what it was asked. */
function echo(): HttpApp & { readonly asked: RequestInfo[] } {
  const asked: RequestInfo[] = [];
  return {
    asked,
    fetch(request, info) {
      asked.push(info);
      return Promise.resolve(new Response(new URL(request.url).pathname));
    },
  };
}

Deno.test("each bound address is served, and port 0 takes a free port", async () => {
  const app = echo();
  const events: string[] = [];
  const bind = [{ ip: "127.0.0.1", port: 0 }, { ip: "127.0.0.1", port: 0 }];
  const running = await startHttpListener(listener({ bind }), app, {
    emit: (name, fields) => events.push(`${name} ${fields?.address}`),
  });
  try {
    assert.equal(running.addresses.length, 2);
    for (const address of running.addresses) {
      assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/);
      assert.equal(await (await fetch(`http://${address}/a/b`)).text(), "/a/b");
    }
    const [info] = app.asked;
    assert.equal(info?.listener, "admin");
    assert.equal(info?.tls, false);
    assert.equal(info?.remote.ip, "127.0.0.1");
    assert.equal(`127.0.0.1:${info?.local.port}`, running.addresses[0]);
  } finally {
    await running.close();
  }
  assert.deepEqual(events, [
    ...running.addresses.map((address) => `network.listen-start ${address}`),
    ...running.addresses.map((address) => `network.listen-stop ${address}`),
  ]);
  await assert.rejects(fetch(`http://${running.addresses[0]}/`));
});

Deno.test("an address that cannot be bound leaves none bound", async () => {
  // RFC 5737: no host has this address.
  const bind = [{ ip: "127.0.0.1", port: 0 }, { ip: "192.0.2.1", port: 0 }];
  await assert.rejects(() => startHttpListener(listener({ bind }), echo(), silent), Deno.errors.AddrNotAvailable);
});

Deno.test("over the limit of a listener requests get 503", async () => {
  let release = () => {};
  const held = new Promise<Response>((resolve) => release = () => resolve(new Response("late")));
  const running = await startHttpListener(listener({ maxConnections: 1 }), { fetch: () => held }, silent);
  try {
    const first = fetch(`http://${running.addresses[0]}/`);
    const second = await Promise.race([first, untilBusy(running)]);
    assert.equal(second, undefined);
    const refused = await fetch(`http://${running.addresses[0]}/`);
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).status, 503);
    release();
    assert.equal(await (await first).text(), "late");
  } finally {
    await running.close();
  }
});

Deno.test("closing lets a request end, and cuts it off when the grace is over", async () => {
  const clock = new FakeClock();
  const running = await startHttpListener(listener(), { fetch: () => new Promise(() => {}) }, { ...silent, clock });
  const asked = fetch(`http://${running.addresses[0]}/`);
  await untilBusy(running);
  const closed = running.close(500);
  await clock.advance(500);
  const response = await asked;
  assert.equal(response.status, 503);
  await response.body?.cancel();
  await closed;
  assert.equal(clock.pending, 0);
});

/** Resolves when a request has arrived. */
async function untilBusy(running: { connections(): number }): Promise<undefined> {
  while (running.connections() === 0) await new Promise((resolve) => setImmediate(resolve));
  return undefined;
}

Deno.test("processes share the port of a listener where socket.reuse-port lets them", async () => {
  const first = await startHttpListener(listener(), echo(), silent);
  const port = Number(first.addresses[0]?.split(":")[1]);
  const bind = [{ ip: "127.0.0.1", port }];
  const second = await startHttpListener(listener({ bind }), echo(), silent);
  assert.deepEqual(second.addresses, first.addresses);
  const { socket } = listener();
  await assert.rejects(
    () => startHttpListener(listener({ bind, socket: { ...socket, reusePort: false } }), echo(), silent),
    Deno.errors.AddrInUse,
  );
  await first.close();
  await second.close();
});
