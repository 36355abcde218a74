import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import { createCertificateStore } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import {
  assertIncludes,
  bytes,
  dial,
  listenerConfig,
  readAll,
  readUntil,
  respond,
  sClient,
  startListener,
  TLS,
  until,
} from "./fixture.ts";

const rsa = await makeCertificate({ names: ["mx.example.test", "*.wild.test"], key: "rsa" });
const ec = await makeCertificate({ names: ["other.test"], key: "ec" });
const both = () =>
  createCertificateStore([certificateConfig("main", rsa, { default: true }), certificateConfig("other", ec)]);
const implicit = { ...TLS, implicit: true };
const STARTTLS = ["-starttls", "smtp"];

Deno.test("STARTTLS gives TLS 1.3, and the session knows version, suite and name", async () => {
  const listener = startListener(respond, { certificates: both() });
  const report = await sClient(listener.port, ...STARTTLS, "-servername", "mx.example.test");
  assert.ok(report.success, report.output);
  assert.deepEqual(report.info, {
    version: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    cipherBits: 256,
    serverName: "mx.example.test",
  });
  assertIncludes(report.output, "subject=CN = mx.example.test");
  await listener.idle();
  await listener.close();
});

Deno.test("implicit TLS shakes hands before the session starts", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  const report = await sClient(listener.port, "-noservername");
  assert.ok(report.success, report.output);
  assert.equal(report.info?.version, "TLSv1.3");
  assert.equal(report.info?.serverName, undefined);
  assertIncludes(report.output, "subject=CN = mx.example.test");
  await listener.idle();
  await listener.close();
});

Deno.test("the session ends with close_notify, not with a broken connection", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  const report = await sClient(listener.port, "-noservername");
  assert.ok(!report.output.includes("unexpected eof"), report.output);
  await listener.idle();
  await listener.close();
});

Deno.test("a client of TLS 1.2 is served", async () => {
  const listener = startListener(respond, { certificates: both() });
  const report = await sClient(listener.port, ...STARTTLS, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256");
  assert.ok(report.success, report.output);
  assert.deepEqual(report.info, {
    version: "TLSv1.2",
    cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    cipherBits: 128,
  });
  await listener.idle();
  await listener.close();
});

Deno.test("a client of TLS 1.1 is refused with an alert", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  const report = await sClient(listener.port, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0");
  assert.ok(!report.success);
  assertIncludes(report.output, "alert handshake failure");
  assert.equal((await listener.event("tls.handshake-error")).fields.listener, "test");
  await listener.idle();
  await listener.close();
});

Deno.test("certificates follow the name asked for: exact, wildcard, default", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  for (
    const [name, subject] of [
      ["other.test", "other.test"],
      ["OTHER.test", "other.test"],
      ["a.wild.test", "mx.example.test"],
      ["unknown.test", "mx.example.test"],
    ] as const
  ) {
    const report = await sClient(listener.port, "-servername", name);
    assert.ok(report.success, report.output);
    assertIncludes(report.output, `subject=CN = ${subject}`);
  }
  await listener.idle();
  await listener.close();
});

Deno.test("new certificates serve new handshakes while old connections go on", async () => {
  const certificates = createCertificateStore([certificateConfig("main", rsa)]);
  const listener = startListener(respond, { certificates, config: { tls: implicit } });
  const held = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: listener.port,
    caCerts: [rsa.cert],
    unsafelyDisableHostnameVerification: true,
  });
  assertIncludes(await readUntil(held, "\n"), "info");
  certificates.replace([certificateConfig("renewed", ec)]);
  const report = await sClient(listener.port);
  assertIncludes(report.output, "subject=CN = other.test");
  await held.write(bytes("still here\n"));
  assert.equal(await readUntil(held, "\n"), "echo still here\n");
  held.close();
  await listener.idle();
  await listener.close();
});

Deno.test("switching off TLS 1.3 leaves 1.2, and the other way round", async () => {
  for (
    const [off, works, fails] of [["TLSv1.3", "-tls1_2", "-tls1_3"], ["TLSv1.2", "-tls1_3", "-tls1_2"]] as const
  ) {
    const listener = startListener(respond, {
      certificates: both(),
      config: { tls: { ...implicit, disableProtocols: [off] } },
    });
    assert.ok((await sClient(listener.port, works)).success);
    assert.ok(!(await sClient(listener.port, fails)).success);
    await listener.idle();
    await listener.close();
  }
});

Deno.test("a suite that is switched off is never used", async (t) => {
  const serve = (disableCiphers: string[]) =>
    startListener(respond, { certificates: both(), config: { tls: { ...implicit, disableCiphers } } });

  await t.step("a client that offers nothing else is refused with an alert", async () => {
    const listener = serve(["TLS13_AES_128_GCM_SHA256"]);
    const report = await sClient(listener.port, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256");
    assert.ok(!report.success);
    assertIncludes(report.output, "alert handshake failure");
    assert.ok((await sClient(listener.port, "-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384")).success);
    await listener.idle();
    await listener.close();
  });
  await t.step("a client that prefers it is served with TLS 1.2 instead", async () => {
    const listener = serve(["TLS13_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);
    const report = await sClient(listener.port, "-servername", "mx.example.test");
    assert.ok(report.success, report.output);
    assert.equal(report.info?.cipher, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
    await listener.idle();
    await listener.close();
  });
  await t.step("with all suites of TLS 1.3 switched off only 1.2 is left", async () => {
    const listener = serve(["TLS13_AES_256_GCM_SHA384", "TLS13_AES_128_GCM_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"]);
    assert.ok(!(await sClient(listener.port, "-tls1_3")).success);
    assert.equal((await sClient(listener.port)).info?.version, "TLSv1.2");
    await listener.idle();
    await listener.close();
  });
});

Deno.test("plain text sent with STARTTLS is not taken for part of the encrypted session", async () => {
  const seen: string[] = [];
  const listener = startListener(async (connection) => {
    await connection.write(bytes("220 ready\r\n"));
    await readUntil(connection, "STARTTLS\r\n");
    await connection.write(bytes("220 go ahead\r\n"));
    try {
      await connection.startTls();
      seen.push(await readUntil(connection, "\r\n"));
    } catch (error) {
      seen.push(error instanceof Error ? error.name : "");
    }
  }, { certificates: both() });
  const client = await dial(listener.port);
  await client.write(bytes("STARTTLS\r\n"));
  await readUntil(client, "go ahead\r\n");
  await client.write(bytes("MAIL FROM:<injected@example.test>\r\n"));
  await readAll(client);
  client.close();
  await listener.idle();
  await listener.close();
  assert.deepEqual(seen, ["TlsHandshakeError"]);
});

Deno.test("a client that stalls in the handshake is closed at the timeout, and only it", async () => {
  const clock = new FakeClock();
  const listener = startListener(respond, { certificates: both(), clock, config: { tls: implicit } });
  const silent = await dial(listener.port);
  const halfway = await dial(listener.port);
  await halfway.write(Uint8Array.of(22, 3, 1, 0, 200, 1));
  await until(() => listener.connections === 2 && clock.pending === 2);
  const report = await sClient(listener.port);
  assert.ok(report.success, report.output);
  await clock.advance(TLS.timeout);
  assert.equal(await readAll(silent), "");
  await readAll(halfway);
  assertIncludes(String((await listener.event("tls.handshake-error")).fields.reason), "took longer than 20 s");
  silent.close();
  halfway.close();
  await listener.idle();
  await listener.close();
});

Deno.test("closing the listener ends handshakes that have not come to a session", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  const silent = await dial(listener.port);
  await until(() => listener.connections === 1);
  await listener.close();
  assert.equal(await readAll(silent), "");
  silent.close();
  await listener.event("tls.handshake-error");
});

Deno.test("a half-closed TLS client still gets its answer", async () => {
  const listener = startListener(async (connection) => {
    const said = await readAll(connection);
    await connection.write(bytes(`got ${said}`));
  }, { certificates: both(), config: { tls: implicit } });
  const client = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: listener.port,
    caCerts: [rsa.cert],
    unsafelyDisableHostnameVerification: true,
  });
  await client.write(bytes("the end"));
  await client.closeWrite();
  assert.equal(await readUntil(client, "end"), "got the end");
  client.close();
  await listener.idle();
  await listener.close();
});

Deno.test("without a certificate STARTTLS cannot be offered, and with TLS switched off neither", async () => {
  const offered: boolean[] = [];
  const ask = (connection: { canStartTls: boolean }) => {
    offered.push(connection.canStartTls);
  };
  for (
    const listener of [
      startListener(ask),
      startListener(ask, { certificates: both(), config: { tls: { ...TLS, enable: false } } }),
      startListener(ask, { certificates: both() }),
    ]
  ) {
    const client = await dial(listener.port);
    await readAll(client);
    client.close();
    await listener.close();
  }
  assert.deepEqual(offered, [false, false, true]);
});

Deno.test("a reload changes the TLS settings of new connections", async () => {
  const listener = startListener(respond, { certificates: both(), config: { tls: implicit } });
  assert.equal((await sClient(listener.port)).info?.version, "TLSv1.3");
  listener.update(listenerConfig({ tls: { ...implicit, disableProtocols: ["TLSv1.3"] } }));
  assert.equal((await sClient(listener.port)).info?.version, "TLSv1.2");
  await listener.idle();
  await listener.close();
});

Deno.test("a megabyte goes both ways through STARTTLS unharmed", async () => {
  const size = 1_000_000;
  const listener = startListener(async (connection) => {
    const buffer = new Uint8Array(10_000);
    for (let left = size; left > 0;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      left -= count;
      await connection.write(buffer.subarray(0, count));
    }
  }, { certificates: both(), config: { tls: implicit } });
  const client = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: listener.port,
    caCerts: [rsa.cert],
    unsafelyDisableHostnameVerification: true,
  });
  const sent = new Uint8Array(size).map((_, index) => (index * 31) & 0xff);
  const received = new Uint8Array(size);
  const sending = (async () => {
    for (let at = 0; at < size;) at += await client.write(sent.subarray(at));
  })();
  for (let at = 0; at < size;) {
    const count = await client.read(received.subarray(at));
    assert.notEqual(count, null);
    at += count ?? 0;
  }
  await sending;
  assert.deepEqual(received, sent);
  client.close();
  await listener.idle();
  await listener.close();
});

/** The first bytes a TLS client of the runtime sends. */
async function clientHello(): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const duplex = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      resolve(new Uint8Array(chunk));
      done();
    },
  });
  const client = connect({ socket: duplex, servername: "mx.example.test", rejectUnauthorized: false });
  client.on("error", () => {});
  const hello = await promise;
  client.destroy();
  duplex.destroy();
  return hello;
}

Deno.test("broken handshakes, at whatever octet and however they arrive, cost only themselves", async () => {
  const hello = await clientHello();
  const proxy = bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
  const loopback = [{ address: "127.0.0.0", prefix: 8 }];
  for (const disableCiphers of [[], ["TLS13_AES_128_GCM_SHA256"]]) {
    for (const proxied of [false, true]) {
      const listener = startListener(respond, {
        certificates: both(),
        config: { tls: { ...implicit, disableCiphers }, proxyTrustedNetworks: proxied ? loopback : [] },
      });
      const attack = async (tail: Uint8Array, reset: boolean) => {
        const client = await dial(listener.port);
        // In one write, so that the header and what follows arrive together.
        await client.write(proxied ? Uint8Array.of(...proxy, ...tail) : tail);
        if (!reset) {
          await client.closeWrite().catch(() => {});
          await readAll(client);
        }
        client.close();
      };
      for (let at = 0; at < hello.length; at += 7) {
        const flipped = hello.slice();
        flipped[at]! ^= 0xff;
        await Promise.all([
          attack(hello.subarray(0, at), false),
          attack(hello.subarray(0, at), true),
          attack(flipped, false),
          attack(flipped, true),
        ]);
      }
      await attack(bytes("EHLO plain.example.test\r\n"), false);
      await attack(bytes("GET / HTTP/1.1\r\n\r\n"), true);
      if (!proxied) assert.ok((await sClient(listener.port)).success);
      await listener.idle();
      await listener.close();
    }
  }
});
