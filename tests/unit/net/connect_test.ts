import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock/mod.ts";
import {
  type ClientTlsOptions,
  connect,
  ConnectError,
  type ConnectFailure,
  type ConnectOptions,
  createCertificateStore,
} from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { certificateConfig, makeCertificate, type TestCertificate } from "../../support/certificates.ts";
import { assertIncludes, bytes, readAll, readUntil, respond, startListener, TLS, until } from "./fixture.ts";

const root = await makeCertificate({ names: ["Test Root"], authority: true });
const intermediate = await makeCertificate({ names: ["Test Intermediate"], authority: true, issuer: root, key: "rsa" });
const mx = await makeCertificate({ names: ["mx.example.test"], issuer: intermediate });

const open = (port: number, more: Partial<ConnectOptions> = {}) =>
  connect({ ip: "127.0.0.1", port, timeout: 5000, clock: systemClock, ...more });
const implicit = { ...TLS, implicit: true };
const verified: ClientTlsOptions = { serverName: "mx.example.test", verify: "pki", timeout: 5000, ca: [root.cert] };

const tlsListener = (certificate: TestCertificate, tls = implicit) =>
  startListener(respond, {
    certificates: createCertificateStore([certificateConfig("main", certificate)]),
    config: { tls },
  });

async function failure(promise: Promise<unknown>): Promise<ConnectFailure> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ConnectError) return error.kind;
    throw error;
  }
  return assert.fail("it did not fail");
}

Deno.test("a plain connection carries bytes both ways and knows both ends", async () => {
  const listener = startListener(async (connection) => {
    await connection.write(bytes(`220 ${connection.remote.ip}:${connection.remote.port}\r\n`));
    await connection.write(bytes(await readUntil(connection, "\r\n")));
  });
  const connection = await open(listener.port);
  assert.deepEqual(connection.remote, { ip: "127.0.0.1", port: listener.port });
  assert.equal(await readUntil(connection, "\r\n"), `220 127.0.0.1:${connection.local.port}\r\n`);
  await connection.write(bytes("QUIT\r\n"));
  assert.equal(await readUntil(connection, "\r\n"), "QUIT\r\n");
  assert.equal(await connection.read(new Uint8Array(1)), null);
  connection.close();
  connection.close();
  await assert.rejects(connection.read(new Uint8Array(1)));
  await assert.rejects(connection.write(bytes("x")));
  await listener.idle();
  await listener.close();
});

Deno.test("the source address is the one asked for, plain and with TLS", async () => {
  const listener = startListener(async (connection) => {
    await connection.write(bytes(`220 ${connection.remote.ip}\r\n`));
    await respond(connection);
  }, { certificates: createCertificateStore([certificateConfig("main", mx)]) });
  const connection = await open(listener.port, { localIp: "127.0.0.9" });
  assert.equal(connection.local.ip, "127.0.0.9");
  assert.equal(await readUntil(connection, "ESMTP\r\n"), "220 127.0.0.9\r\n220 mx.example.test ESMTP\r\n");
  await connection.write(bytes("STARTTLS\r\n"));
  await readUntil(connection, "go ahead\r\n");
  assert.equal((await connection.startTls(verified)).authorized, true);
  await readUntil(connection, "\n");
  await connection.write(bytes("over TLS\n"));
  assert.equal(await readUntil(connection, "\n"), "echo over TLS\n");
  connection.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a source address this machine does not have is told apart from other failures", async () => {
  const listener = startListener(() => {});
  assert.equal(await failure(open(listener.port, { localIp: "192.0.2.1" })), "source-address");
  await listener.close();
});

Deno.test("a closed port is refused, with a source address too", async () => {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  assert.equal(await failure(open(port)), "refused");
  assert.equal(await failure(open(port, { localIp: "127.0.0.9" })), "refused");
});

Deno.test("the caller can give up, before and while connecting", async () => {
  const listener = startListener(() => {});
  const control = new AbortController();
  const opening = open(listener.port, { signal: control.signal });
  control.abort();
  assert.equal(await failure(opening), "aborted");
  assert.equal(await failure(open(listener.port, { signal: AbortSignal.abort() })), "aborted");
  assert.equal(await failure(open(listener.port, { signal: AbortSignal.abort(), localIp: "127.0.0.9" })), "aborted");
  await listener.close();
});

Deno.test("a server that does not answer is given up at the timeout", async () => {
  // A full backlog makes the kernel drop what comes on top, as a firewall would.
  const full = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = full.addr;
  const held: Deno.TcpConn[] = [];
  const filler = new AbortController();
  const filling = Array.from(
    { length: 8 },
    () =>
      Deno.connect({ hostname: "127.0.0.1", port, signal: filler.signal }).then((made) => held.push(made), () => {}),
  );
  await until(() => held.length >= 2);
  for (const localIp of [undefined, "127.0.0.9"]) {
    const clock = new FakeClock();
    const opening = failure(open(port, { clock, timeout: 30_000, localIp }));
    await until(() => clock.pending === 1);
    await clock.advance(30_000);
    assert.equal(await opening, "timeout");
  }
  filler.abort();
  await Promise.all(filling);
  for (const connection of held) connection.close();
  full.close();
});

Deno.test("a chain to a trusted root with the right name is authorized, and laid open", async () => {
  const listener = tlsListener(mx);
  const connection = await open(listener.port, { tls: verified });
  const result = connection.tlsResult;
  assert.ok(result !== undefined);
  assert.equal(result.authorized, true);
  assert.equal(result.authorizationError, undefined);
  assert.equal(result.version, "TLSv1.3");
  assert.equal(result.cipherBits, 256);
  assert.equal(result.peerSubject, "CN=mx.example.test");
  assert.equal(result.peerIssuer, "CN=Test Intermediate");
  assert.deepEqual(result.peerCertificates.slice(0, 2), [mx.der, intermediate.der]);
  assert.equal(connection.tls, result);
  assertIncludes(await readUntil(connection, "\n"), `"serverName":"mx.example.test"`);
  connection.close();
  await listener.idle();
  await listener.close();
});

Deno.test("what is wrong with a certificate is told, and the connection is the caller's to judge", async () => {
  const day = 86_400_000;
  const at = (days: number) => new Date(Date.now() + days * day);
  const names = ["mx.example.test"];
  const expired = await makeCertificate({ names, issuer: root, notBefore: at(-30), notAfter: at(-1) });
  const early = await makeCertificate({ names, issuer: root, notBefore: at(1), notAfter: at(30) });
  const stranger = await makeCertificate({ names: ["Strange Root"], authority: true });
  const cases: [string, TestCertificate, Partial<ClientTlsOptions>, string | undefined][] = [
    ["expired", expired, {}, "CERT_HAS_EXPIRED"],
    ["not yet valid", early, {}, "CERT_NOT_YET_VALID"],
    ["wrong name", mx, { serverName: "other.example.test" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["self-signed", await makeCertificate({ names }), {}, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["unknown root", await makeCertificate({ names, issuer: stranger }), {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["root not given", mx, { ca: [] }, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
    ["no names", await makeCertificate({ names: [], issuer: root }), {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["right", mx, {}, undefined],
  ];
  for (const [why, certificate, more, error] of cases) {
    const listener = tlsListener(certificate);
    const connection = await open(listener.port, { tls: { ...verified, ...more } });
    assert.equal(connection.tlsResult?.authorizationError, error, why);
    assert.equal(connection.tlsResult?.authorized, error === undefined, why);
    assert.deepEqual(connection.tlsResult?.peerCertificates[0], certificate.der, why);
    await readUntil(connection, "\n");
    await connection.write(bytes("x\n"));
    assert.equal(await readUntil(connection, "\n"), "echo x\n", why);
    connection.close();
    await listener.idle();
    await listener.close();
  }
});

Deno.test("a fault of one connection is not found on the next", async () => {
  const bad = tlsListener(await makeCertificate({ names: ["mx.example.test"] }));
  const good = tlsListener(mx);
  for (let round = 0; round < 2; round++) {
    const first = await open(bad.port, { tls: verified });
    const second = await open(good.port, { tls: verified });
    const third = await open(good.port, { tls: { ...verified, ca: undefined } });
    assert.deepEqual([first, second, third].map((made) => made.tlsResult?.authorized), [false, true, false]);
    for (const connection of [first, second, third]) connection.close();
  }
  await bad.idle();
  await good.idle();
  await bad.close();
  await good.close();
});

Deno.test("without verification nothing is authorized and nothing is wrong", async () => {
  const listener = tlsListener(mx);
  const connection = await open(listener.port, { tls: { serverName: "any.test", verify: "none", timeout: 5000 } });
  assert.equal(connection.tlsResult?.authorized, false);
  assert.equal(connection.tlsResult?.authorizationError, undefined);
  assert.deepEqual(connection.tlsResult?.peerCertificates[0], mx.der);
  connection.close();
  await listener.idle();
  await listener.close();
});

Deno.test("a certificate for an address is checked against the address, which is not sent as a name", async () => {
  const byAddress = await makeCertificate({ names: ["127.0.0.1"], issuer: root });
  const listener = tlsListener(byAddress);
  for (const [serverName, authorized] of [["127.0.0.1", true], ["127.0.0.2", false]] as const) {
    const connection = await open(listener.port, { tls: { ...verified, serverName } });
    assert.equal(connection.tlsResult?.authorized, authorized);
    assert.equal(connection.tls?.serverName, undefined);
    assert.ok(!(await readUntil(connection, "\n")).includes("serverName"));
    connection.close();
  }
  await listener.idle();
  await listener.close();
});

Deno.test("a leaf whose issuer only bears the name of a trusted root is not authorized", async () => {
  const impostor = await makeCertificate({ names: ["Test Root"], authority: true });
  const forged = await makeCertificate({ names: ["mx.example.test"], issuer: impostor });
  const listener = tlsListener(forged);
  const connection = await open(listener.port, { tls: verified });
  assert.equal(connection.tlsResult?.authorized, false);
  connection.close();
  await listener.idle();
  await listener.close();
});

Deno.test("bytes the server sent before the handshake are not read after it", async () => {
  const listener = startListener(async (connection) => {
    await readUntil(connection, "STARTTLS\r\n");
    await connection.write(bytes("220 go ahead\r\n250 injected\r\n"));
    try {
      await connection.startTls();
      await connection.write(bytes("250 encrypted\r\n"));
    } catch {
      // The client took the injected line for a broken handshake.
    }
  }, { certificates: createCertificateStore([certificateConfig("main", mx)]) });
  for (const localIp of [undefined, "127.0.0.9"]) {
    const connection = await open(listener.port, { localIp });
    await connection.write(bytes("STARTTLS\r\n"));
    const reply = new Uint8Array("220 go ahead\r\n".length);
    assert.equal(await connection.read(reply), reply.length);
    const read = connection.startTls(verified).then(() => readUntil(connection, "\r\n"), (error) => error.kind);
    assert.ok(["tls", "250 encrypted\r\n"].includes(await read));
    connection.close();
  }
  await listener.idle();
  await listener.close();
});

Deno.test("a server that answers the handshake with plain text, leaves or stalls fails as TLS or by time", async () => {
  const says = (text: string) =>
    startListener(async (connection) => {
      await connection.read(new Uint8Array(1));
      await connection.write(bytes(text));
    });
  for (const text of ["", "554 no\r\n", "\x15\x03\x03\x00\x02\x02\x28"]) {
    const listener = says(text);
    for (const localIp of [undefined, "127.0.0.9"]) {
      const connection = await open(listener.port, { localIp });
      assert.equal(await failure(connection.startTls(verified)), "tls", text);
      await assert.rejects(connection.read(new Uint8Array(1)));
    }
    await listener.idle();
    await listener.close();
  }
  const stalls = startListener(async (connection) => {
    await readAll(connection);
  });
  const clock = new FakeClock();
  const connection = await open(stalls.port, { clock });
  const shaking = failure(connection.startTls(verified));
  await until(() => clock.pending === 1);
  await clock.advance(5000);
  assert.equal(await shaking, "timeout");
  await stalls.idle();
  await stalls.close();
});

Deno.test("roots that the environment names are trusted beside the others", async () => {
  const listener = tlsListener(mx);
  const file = await Deno.makeTempFile({ suffix: ".pem" });
  await Deno.writeTextFile(file, root.cert);
  const script = `
    import { connect } from ${JSON.stringify(new URL("../../../src/net/mod.ts", import.meta.url).href)};
    import { systemClock } from ${JSON.stringify(new URL("../../../src/clock/mod.ts", import.meta.url).href)};
    const connection = await connect({
      ip: "127.0.0.1", port: ${listener.port}, timeout: 5000, clock: systemClock,
      tls: { serverName: "mx.example.test", verify: "pki", timeout: 5000 },
    });
    console.log(connection.tlsResult.authorized);
    connection.close();`;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  for (const variable of ["DENO_CERT", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "NOT_A_VARIABLE"]) {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", "--config", config, "--ext=ts", "-"],
      env: { [variable]: file },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const input = process.stdin.getWriter();
    await input.write(bytes(script));
    await input.close();
    const { stdout, stderr } = await process.output();
    assert.equal(
      new TextDecoder().decode(stdout).trim(),
      String(variable !== "NOT_A_VARIABLE"),
      new TextDecoder().decode(stderr),
    );
  }
  await Deno.remove(file);
  await listener.idle();
  await listener.close();
});
