import assert from "node:assert/strict";
import { BindError, type Refusal, type ServerConnection } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  assertIncludes,
  assertNobodyAccepts,
  bytes,
  dial,
  listenerConfig,
  readAll,
  readUntil,
  startListener,
  TLS,
  until,
} from "./fixture.ts";

const LOOPBACK = [{ address: "127.0.0.0", prefix: 8 }];
const greet = async (connection: ServerConnection) => {
  await connection.write(bytes("220 hello\r\n"));
  await readAll(connection);
};

Deno.test("a connection knows its listener, protocol and both ends", async () => {
  const seen = Promise.withResolvers<unknown[]>();
  const listener = startListener(({ listener, protocol, remote, local, tls }) => {
    seen.resolve([listener, protocol, remote, local, tls]);
  }, { config: { protocol: "lmtp" } });
  const client = await dial(listener.port);
  const clientEnd = { ip: "127.0.0.1", port: client.localAddr.port };
  assert.deepEqual(await seen.promise, [
    "test",
    "lmtp",
    clientEnd,
    { ip: "127.0.0.1", port: listener.port },
    undefined,
  ]);
  await readAll(client);
  client.close();
  await listener.close();
});

Deno.test("several addresses are listened on, IPv4-mapped clients appear as IPv4", async () => {
  const remotes: string[] = [];
  const listener = startListener(({ remote }) => {
    remotes.push(remote.ip);
  }, { config: { bind: [{ ip: "127.0.0.1", port: 0 }, { ip: "::1", port: 0 }, { ip: "::", port: 0 }] } });
  assert.deepEqual(listener.addresses.map(({ ip }) => ip).toSorted(), ["127.0.0.1", "::", "::1"]);
  for (const { ip, port } of listener.addresses) {
    const client = await Deno.connect({ hostname: ip === "::" ? "127.0.0.1" : ip, port });
    await readAll(client);
    client.close();
  }
  assert.deepEqual(remotes.toSorted(), ["127.0.0.1", "127.0.0.1", "::1"]);
  await listener.close();
});

Deno.test("[::] and 0.0.0.0 on one port are one listener, in either order", async () => {
  const probe = Deno.listen({ hostname: "::", port: 0 });
  const { port } = probe.addr;
  probe.close();
  const both = [{ ip: "0.0.0.0", port }, { ip: "::", port }];
  for (const bind of [both, both.toReversed()]) {
    const listener = startListener(greet, { config: { bind } });
    assert.ok(listener.addresses.every((address) => address.port === port));
    await listener.close();
  }
});

Deno.test("an address in use is named in the error, and no other port stays open", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const bind = [{ ip: "127.0.0.1", port }, { ip: "127.0.0.1", port: taken.addr.port }];
  assert.throws(
    () => startListener(greet, { config: { id: "smtp", bind } }),
    (error) => {
      assert.ok(error instanceof BindError);
      assertIncludes(error.message, `listener smtp cannot bind 127.0.0.1:${taken.addr.port}: Address already in use`);
      return true;
    },
  );
  // The port is given back when the accept that was under way has ended.
  await until(() => {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return true;
    } catch {
      return false;
    }
  });
  taken.close();
});

Deno.test("the connection over the limit gets 421 4.3.2 and is closed; room made by leaving is given again", async () => {
  const refusals: Refusal[] = [];
  const listener = startListener(greet, {
    config: { maxConnections: 2 },
    onRefused: (refusal) => refusals.push(refusal),
  });
  const first = await dial(listener.port);
  const second = await dial(listener.port);
  await readUntil(first, "\r\n");
  await readUntil(second, "\r\n");
  const third = await dial(listener.port);
  assert.match(await readAll(third), /^421 4\.3\.2 [^\r\n]+\r\n$/);
  assert.deepEqual(refusals.map(({ reason, listener }) => [reason, listener]), [["listener-limit", "test"]]);
  first.close();
  await until(() => listener.connections === 1);
  const fourth = await dial(listener.port);
  assert.equal(await readUntil(fourth, "\r\n"), "220 hello\r\n");
  for (const client of [second, third, fourth]) client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("refused clients that do not read hold up nobody", async () => {
  const listener = startListener(greet, { config: { maxConnections: 1 } });
  const served = await dial(listener.port);
  await readUntil(served, "\r\n");
  const deaf = await Promise.all(Array.from({ length: 50 }, () => dial(listener.port)));
  served.close();
  await until(() => listener.connections === 0);
  const next = await dial(listener.port);
  assert.equal(await readUntil(next, "\r\n"), "220 hello\r\n");
  for (const client of [...deaf, next]) client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("over the limit of an implicit TLS listener nothing is said in plain text", async () => {
  const listener = startListener(greet, { config: { maxConnections: 0, tls: { ...TLS, implicit: true } } });
  const client = await dial(listener.port);
  assert.equal(await readAll(client), "");
  client.close();
  await listener.close();
});

Deno.test("a blocked client is closed without a word", async () => {
  const refusals: Refusal[] = [];
  const listener = startListener(greet, {
    blocked: (ip) => ip === "127.0.0.1",
    onRefused: (refusal) => refusals.push(refusal),
  });
  const client = await dial(listener.port);
  assert.equal(await readAll(client), "");
  assert.deepEqual(refusals.map(({ reason, remote }) => [reason, remote.ip]), [["blocked", "127.0.0.1"]]);
  assert.equal(listener.connections, 0);
  client.close();
  await listener.close();
});

Deno.test("a session that fails is reported and its connection closed", async () => {
  const listener = startListener(() => {
    throw new Error("a bug");
  });
  const client = await dial(listener.port);
  assert.equal(await readAll(client), "");
  assert.equal((await listener.event("server.unexpected-error")).fields.reason, "a bug");
  client.close();
  await listener.close();
});

Deno.test("a half-closed client still gets its answer", async () => {
  const listener = startListener(async (connection) => {
    const said = await readAll(connection);
    await connection.write(bytes(`got ${said}`));
  });
  const client = await dial(listener.port);
  await client.write(bytes("the end"));
  await client.closeWrite();
  assert.equal(await readAll(client), "got the end");
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("closing ends a pending read, and closing twice does no harm", async () => {
  const failed = Promise.withResolvers<unknown>();
  const listener = startListener(async (connection) => {
    const reading = connection.read(new Uint8Array(10)).then(() => "read", (error) => error);
    connection.close();
    connection.close();
    failed.resolve(await reading);
  });
  const client = await dial(listener.port);
  assert.ok(await failed.promise instanceof Error);
  assert.equal(await readAll(client), "");
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a thousand quick connections, some reset, leave nothing behind", async () => {
  const listener = startListener(async (connection) => {
    await connection.write(bytes("220 hello\r\n"));
    const buffer = new Uint8Array(100);
    while (await connection.read(buffer) !== null);
  });
  const visit = async (number: number) => {
    const client = await dial(listener.port);
    // Closing with bytes unread makes the kernel send a reset.
    if (number % 3 === 0) await client.write(bytes("QUIT\r\n"));
    else await readUntil(client, "\r\n");
    client.close();
  };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, number) => visit(number)));
  }
  await listener.idle();
  assert.equal(listener.connections, 0);
  await listener.close();
});

Deno.test("after close() nobody is accepted, and open connections go on", async () => {
  const listener = startListener(greet);
  const client = await dial(listener.port);
  await readUntil(client, "\r\n");
  await listener.close();
  await assertNobodyAccepts(listener.port);
  assert.equal(listener.connections, 1);
  client.close();
  await until(() => listener.connections === 0);
});

Deno.test("a reload opens new ports, closes old ones and keeps the rest", async () => {
  const listener = startListener(greet);
  const [kept] = listener.addresses;
  const client = await dial(listener.port);
  await readUntil(client, "\r\n");
  listener.update(listenerConfig({ bind: [{ ip: "127.0.0.1", port: 0 }, { ip: "127.0.0.2", port: 0 }] }));
  assert.equal(listener.addresses.length, 2);
  assert.deepEqual(listener.addresses[0], kept);
  listener.update(listenerConfig({ bind: [{ ip: "127.0.0.2", port: 0 }], maxConnections: 1 }));
  await until(() => listener.connections === 1);
  await assertNobodyAccepts(kept?.port ?? 0);
  const port = listener.addresses[0]?.port ?? 0;
  const second = await Deno.connect({ hostname: "127.0.0.2", port });
  assertIncludes(await readAll(second), "421 4.3.2 ");
  client.close();
  second.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a reload whose port cannot be opened changes nothing", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listener = startListener(greet);
  const before = listener.addresses;
  const bind = [{ ip: "127.0.0.3", port: 0 }, { ip: "127.0.0.1", port: taken.addr.port }];
  assert.throws(() => listener.update(listenerConfig({ bind })), BindError);
  assert.deepEqual(listener.addresses, before);
  taken.close();
  await listener.close();
});

Deno.test("when descriptors run out the listener waits and then goes on", async () => {
  const clock = new FakeClock();
  const listen = Deno.listen;
  let failures = 3;
  // The system cannot be made to run out here without hurting the other tests, so accept() is made to.
  Deno.listen = ((options: Deno.TcpListenOptions) => {
    const real = listen(options);
    const accept = real.accept.bind(real);
    real.accept = () => {
      if (failures-- > 0) return Promise.reject(Object.assign(new Error("Too many open files"), { code: "EMFILE" }));
      return accept();
    };
    return real;
  }) as typeof Deno.listen;
  try {
    const listener = startListener(greet, { clock });
    for (let failure = 0; failure < 3; failure++) {
      assert.equal((await listener.event("network.accept-error")).fields.reason, "Too many open files");
      await until(() => clock.pending === 1);
      await clock.advance(100);
    }
    const client = await dial(listener.port);
    assert.equal(await readUntil(client, "\r\n"), "220 hello\r\n");
    client.close();
    await listener.idle();
    await listener.close();
  } finally {
    Deno.listen = listen;
  }
});

Deno.test("a trusted proxy tells who the client is, and the session reads on after the header", async () => {
  const seen = Promise.withResolvers<unknown[]>();
  const listener = startListener(async (connection) => {
    seen.resolve([connection.remote, connection.local, await readUntil(connection, "\r\n")]);
  }, { config: { proxyTrustedNetworks: LOOPBACK } });
  const client = await dial(listener.port);
  await client.write(bytes("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\nEHLO x\r\n"));
  assert.deepEqual(await seen.promise, [
    { ip: "192.0.2.1", port: 56324 },
    { ip: "198.51.100.2", port: 25 },
    "EHLO x\r\n",
  ]);
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a PROXY header may come octet by octet", async () => {
  const seen = Promise.withResolvers<string>();
  const listener = startListener(({ remote }) => seen.resolve(remote.ip), {
    config: { proxyTrustedNetworks: LOOPBACK },
  });
  const client = await dial(listener.port);
  client.setNoDelay(true);
  for (const octet of bytes("PROXY TCP6 2001:db8::7 2001:db8::8 1 2\r\n")) await client.write(Uint8Array.of(octet));
  assert.equal(await seen.promise, "2001:db8::7");
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a health check of the proxy keeps the socket's own addresses", async () => {
  const seen = Promise.withResolvers<string>();
  const listener = startListener(({ remote }) => seen.resolve(remote.ip), {
    config: { proxyTrustedNetworks: LOOPBACK },
  });
  const client = await dial(listener.port);
  await client.write(Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20, 0, 0, 0));
  assert.equal(await seen.promise, "127.0.0.1");
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("from a trusted proxy a missing or broken header closes the connection", async () => {
  const listener = startListener(greet, { config: { proxyTrustedNetworks: LOOPBACK } });
  for (const start of ["EHLO client.example\r\n", "PROXY TCP4 192.0.2.1\r\n", "\r\n\r\n\0\r\nQUIX\n"]) {
    const client = await dial(listener.port);
    await client.write(bytes(start));
    assert.equal(await readAll(client), "");
    assert.equal((await listener.event("network.proxy-error")).fields.remoteIp, "127.0.0.1");
    client.close();
  }
  const leaver = await dial(listener.port);
  leaver.close();
  await listener.event("network.proxy-error");
  await until(() => listener.connections === 0);
  await listener.close();
});

Deno.test("a proxy that sends no header is closed at the timeout", async () => {
  const clock = new FakeClock();
  const listener = startListener(greet, { clock, config: { proxyTrustedNetworks: LOOPBACK } });
  const client = await dial(listener.port);
  await until(() => clock.pending === 1);
  await clock.advance(TLS.timeout);
  assert.equal(await readAll(client), "");
  assert.equal((await listener.event("network.proxy-error")).fields.reason, "no PROXY header within 20 s");
  client.close();
  await listener.close();
});

Deno.test("the bytes of others are never read as a PROXY header", async () => {
  const seen = Promise.withResolvers<unknown[]>();
  const listener = startListener(async (connection) => {
    seen.resolve([connection.remote.ip, await readUntil(connection, "\r\n")]);
  }, { config: { proxyTrustedNetworks: [{ address: "192.0.2.0", prefix: 24 }] } });
  const client = await dial(listener.port);
  await client.write(bytes("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"));
  assert.deepEqual(await seen.promise, ["127.0.0.1", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"]);
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("behind a proxy the client is blocked, not the proxy", async () => {
  const listener = startListener(greet, {
    blocked: (ip) => ip === "127.0.0.1" || ip === "192.0.2.66",
    config: { proxyTrustedNetworks: LOOPBACK },
  });
  const visit = async (ip: string) => {
    const client = await dial(listener.port);
    await client.write(bytes(`PROXY TCP4 ${ip} 198.51.100.2 56324 25\r\n`));
    const said = await readUntil(client, "\r\n").catch(() => "");
    client.close();
    return said;
  };
  assert.equal(await visit("192.0.2.66"), "");
  assert.equal(await visit("192.0.2.67"), "220 hello\r\n");
  await listener.idle();
  await listener.close();
});
