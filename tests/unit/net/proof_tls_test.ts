import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect, type ConnectionOptions } from "node:tls";
import { challengeCertificate } from "../../../src/acme/x509.ts";
import { systemClock } from "../../../src/clock/mod.ts";
import { type ChallengeCertificates, createCertificateStore, listen } from "../../../src/net/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { listenerConfig, sClient, TLS } from "./fixture.ts";

const own = await makeCertificate({ names: ["mx.example.org"] });
const proof = await challengeCertificate("mx.example.org", "token.thumbprint", Date.now());

/** A listener that has a proof of mx.example.org, and what became of those who came. */
function start(expected = true) {
  const events: string[] = [];
  const shown: string[] = [];
  const proofs: ChallengeCertificates = {
    expected: () => expected,
    certificate: (name) => Promise.resolve(name === "mx.example.org" ? proof : undefined),
    shown: (name, failure) => shown.push(`${name} ${failure ?? "ok"}`),
  };
  const listener = listen(listenerConfig({ tls: { ...TLS, implicit: true } }), {
    certificates: createCertificateStore([certificateConfig("own", own)], proofs),
    clock: systemClock,
    emit: (name) => events.push(name),
    blocked: () => false,
    onConnection(connection) {
      events.push("session");
      connection.close();
    },
  });
  return { listener, events, shown };
}

/** What a client sees: the protocol agreed on and the certificate, or why there is neither; and then the end. */
function look(port: number, options: ConnectionOptions): Promise<{ alpn: unknown; cert: X509Certificate } | string> {
  return new Promise((resolve) => {
    let seen: { alpn: unknown; cert: X509Certificate } | undefined;
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }, () => {
      seen = { alpn: socket.alpnProtocol, cert: new X509Certificate(socket.getPeerCertificate().raw) };
    });
    socket.on("error", (error) => resolve(seen ?? error.message));
    socket.on("close", () => resolve(seen ?? "closed"));
    socket.resume();
  });
}

Deno.test("whoever asks by acme-tls/1 for a name is shown the proof of it, and nothing more (RFC 8737 §3)", async () => {
  const { listener, events, shown } = start();
  const port = listener.addresses[0]?.port ?? 0;
  // The runtime's client does not take such a certificate, whatever it is told to ignore.
  const ask = (...options: string[]) =>
    sClient(port, "-alpn", "acme-tls/1", "-servername", "mx.example.org", ...options);
  const { output } = await ask();
  assert.match(output, /ALPN protocol: acme-tls\/1/);
  const [sent = ""] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(output) ?? [];
  assert.equal(
    new X509Certificate(sent).raw.toString("base64"),
    new X509Certificate(proof.cert).raw.toString("base64"),
  );
  // The last thing is close_notify, which openssl takes for an end like any other.
  assert.doesNotMatch(output, /SSL routines|unexpected eof/);
  // Some clients know no curve but those of NIST; with others alone they would have to be asked again.
  const nist = (await ask("-groups", "P-256")).output;
  assert.match(nist, /Server Temp Key: ECDH, prime256v1/);
  assert.match(nist, /ALPN protocol: acme-tls\/1/);
  assert.match((await ask("-groups", "P-384")).output, /alert handshake failure/);
  await listener.close();
  assert.deepEqual(shown.slice(0, 2), ["mx.example.org ok", "mx.example.org ok"]);
  assert.match(shown[2] ?? "", /does not offer .* a share for X25519 or P-256$/);
  assert.ok(!events.includes("session"));
  assert.ok(!events.includes("tls.handshake-error"));
});

Deno.test("a name without a proof is refused, another protocol gets the usual certificate", async () => {
  const { listener, events, shown } = start();
  const port = listener.addresses[0]?.port ?? 0;
  const refused = await look(port, { servername: "other.example", ALPNProtocols: ["acme-tls/1"] });
  assert.equal(typeof refused, "string");
  const usual = await look(port, { servername: "mx.example.org" });
  assert.ok(typeof usual === "object" && usual.cert.subjectAltName === "DNS:mx.example.org");
  assert.equal(usual.cert.raw.toString("base64"), new X509Certificate(own.cert).raw.toString("base64"));
  // RFC 8737 §3: whoever comes for a proof offers nothing else.
  const many = await look(port, { servername: "mx.example.org", ALPNProtocols: ["acme-tls/1", "http/1.1"] });
  assert.ok(typeof many === "object" && many.cert.issuer === usual.cert.issuer);
  await listener.close();
  assert.deepEqual(shown, []);
  assert.deepEqual(events.filter((name) => name === "session"), ["session", "session"]);
});

Deno.test("a client that speaks only TLS 1.2 cannot be shown a proof, and is told so at once", async () => {
  const { listener, shown } = start();
  const port = listener.addresses[0]?.port ?? 0;
  const options: ConnectionOptions = {
    servername: "mx.example.org",
    ALPNProtocols: ["acme-tls/1"],
    maxVersion: "TLSv1.2",
  };
  assert.equal(typeof await look(port, options), "string");
  await listener.close();
  assert.match(shown.join(), /^mx\.example\.org the client does not offer TLS 1\.3/);
});

Deno.test("while no proof is expected acme-tls/1 is a protocol like others", async () => {
  const { listener, events, shown } = start(false);
  const port = listener.addresses[0]?.port ?? 0;
  await look(port, { servername: "mx.example.org", ALPNProtocols: ["acme-tls/1"] });
  await listener.close();
  assert.deepEqual(shown, []);
  assert.ok(events.includes("session"));
});

Deno.test("a client that leaves, or sends something else, in the middle of a proof ends it", async () => {
  const { listener, shown } = start();
  const port = listener.addresses[0]?.port ?? 0;
  // The hello of a real client, and then no Finished.
  const hello = await helloOf({ servername: "mx.example.org", ALPNProtocols: ["acme-tls/1"] });
  for (
    const rest of [
      new Uint8Array(0),
      Uint8Array.of(23, 3, 3, 0, 40, ...new Uint8Array(40)),
      Uint8Array.of(21, 3, 3, 0, 2, 2, 40),
    ]
  ) {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    await socket.write(hello);
    await socket.write(rest);
    await socket.closeWrite();
    while (await socket.read(new Uint8Array(4096)) !== null);
    socket.close();
  }
  await listener.close();
  assert.equal(shown.length, 3);
  for (const line of shown) assert.doesNotMatch(line, / ok$/);
});

/** What the runtime's client says first. */
async function helloOf(options: ConnectionOptions): Promise<Uint8Array> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = connect({ host: "127.0.0.1", port: listener.addr.port, ...options });
  client.on("error", () => {});
  const socket = await listener.accept();
  const buffer = new Uint8Array(8192);
  const count = await socket.read(buffer);
  socket.close();
  listener.close();
  client.destroy();
  return buffer.slice(0, count ?? 0);
}
