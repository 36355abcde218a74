import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { X509Certificate } from "@peculiar/x509";
import { createProofBoard } from "../../../src/acme/proofs.ts";
import { type AcmeRecords, acmeRecords } from "../../../src/acme/records.ts";
import { checkCertificate, renewalId } from "../../../src/acme/x509.ts";
import { StoreUnavailable } from "../../../src/store/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder, until } from "../../support/store.ts";

const PROOF = { domain: "mx.example.net", token: "abcdefghijklmnop", keyAuthorization: "abcdefghijklmnop.thumb" };
const { signal } = new AbortController();

/** Two nodes on one store. */
async function nodes() {
  const folder = await temporaryFolder();
  const clock = new FakeClock();
  const log = eventLog();
  const store = await openTemporaryStore(folder.path);
  const board = () =>
    createProofBoard({
      clock,
      emit: log.emit,
      records: () => acmeRecords(store),
      tlsNames: () => new Set(["mx.example.net"]),
    });
  return {
    clock,
    log,
    store,
    one: board(),
    two: board(),
    async [Symbol.asyncDispose]() {
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

Deno.test("every node answers for the one that ordered, until the proof is withdrawn", async () => {
  await using here = await nodes();
  const { one, two } = here;
  const solver = one.solver("http-01");
  assert.equal(await two.httpAnswer(PROOF.token), undefined);
  await solver.present([PROOF], signal);
  assert.equal(await one.httpAnswer(PROOF.token), PROOF.keyAuthorization);
  assert.equal(await two.httpAnswer(PROOF.token), PROOF.keyAuthorization);
  // A proof of one kind is none of another.
  assert.equal(await two.tls.certificate("mx.example.net"), undefined);
  await solver.withdraw([PROOF]);
  assert.equal(await two.httpAnswer(PROOF.token), undefined);
});

Deno.test("what a node that died has left is shown for an hour", async () => {
  await using here = await nodes();
  await here.one.solver("http-01").present([PROOF], signal);
  await here.clock.advance(3_599_000);
  assert.equal(await here.two.httpAnswer(PROOF.token), PROOF.keyAuthorization);
  await here.clock.advance(2_000);
  assert.equal(await here.two.httpAnswer(PROOF.token), undefined);
});

Deno.test("the certificate of a proof has the digest in a critical extension (RFC 8737 §3)", async () => {
  await using here = await nodes();
  const { one, two } = here;
  await one.solver("tls-alpn-01").present([PROOF], signal);
  for (const board of [one, two]) {
    const shown = await board.tls.certificate("MX.example.net");
    const certificate = new X509Certificate(shown?.cert ?? "");
    const extension = certificate.getExtension("1.3.6.1.5.5.7.1.31");
    assert.equal(extension?.critical, true);
    const digest = createHash("sha256").update(PROOF.keyAuthorization).digest("hex");
    assert.equal(new Uint8Array(extension?.value ?? new ArrayBuffer(0)).toHex(), `0420${digest}`);
    assert.deepEqual(certificate.getExtension("2.5.29.17")?.toString("text").match(/mx\.example\.net/g)?.length, 1);
  }
});

Deno.test("names that are proved in another way, or not at all, and odd tokens, do not reach the store", async () => {
  await using here = await nodes();
  const { one, log, store } = here;
  let reads = 0;
  const counting = createProofBoard({
    clock: here.clock,
    emit: log.emit,
    records: () => (reads++, acmeRecords(store)),
    tlsNames: () => new Set(["mx.example.net"]),
  });
  assert.equal(await counting.tls.certificate("other.example"), undefined);
  for (const token of ["", "short", "../../../../etc/passwd", "a".repeat(300)]) {
    assert.equal(await counting.httpAnswer(token), undefined);
  }
  assert.equal(reads, 0);
  assert.equal(log.count("acme.token-not-found"), 5);
  assert.equal(log.count("acme.tls-alpn-error"), 0);
  assert.equal(one.tls.expected(), true);
});

Deno.test("strangers who come as often as they like write a line a minute for each name, and what fails is told", async () => {
  await using here = await nodes();
  const { clock, log, one } = here;
  await one.solver("tls-alpn-01").present([PROOF], signal);
  for (let i = 0; i < 10; i++) {
    await one.tls.certificate("mx.example.net");
    one.tls.shown("mx.example.net", "the client left during the handshake");
    one.tls.shown("mx.example.net", undefined);
    await clock.advance(6_000);
  }
  assert.equal(log.count("acme.tls-alpn-error"), 1);
  assert.equal(log.count("acme.tls-alpn-received"), 1);
  one.tls.shown("mx.example.net", "the client does not offer TLS 1.3");
  one.tls.shown("www.example.net", "the client left during the handshake");
  assert.deepEqual(
    log.events.filter(({ name }) => name === "acme.tls-alpn-error").map(({ fields }) => Object.values(fields)),
    [
      ["mx.example.net", "the client left during the handshake"],
      ["mx.example.net", "the client does not offer TLS 1.3"],
      ["www.example.net", "the client left during the handshake"],
    ],
  );
});

Deno.test("whoever asks for a proof while the store is read shares the next read, and misses nothing", async () => {
  const reads: PromiseWithResolvers<ReadonlyMap<string, string>>[] = [];
  const board = createProofBoard({
    clock: new FakeClock(),
    emit: () => {},
    records: () => ({
      proofs() {
        const read = Promise.withResolvers<ReadonlyMap<string, string>>();
        reads.push(read);
        return read.promise;
      },
    } as Partial<AcmeRecords> as AcmeRecords),
    tlsNames: () => new Set(),
  });
  const first = board.httpAnswer(PROOF.token);
  await until(() => reads.length === 1);
  const later = Array.from({ length: 20 }, () => board.httpAnswer(PROOF.token));
  await until(() => reads.length === 1);
  reads[0]?.resolve(new Map());
  assert.equal(await first, undefined);
  await until(() => reads.length === 2);
  // Another node has begun to show it after the first read.
  reads[1]?.resolve(new Map([[`http-01 ${PROOF.token}`, PROOF.keyAuthorization]]));
  assert.deepEqual(await Promise.all(later), later.map(() => PROOF.keyAuthorization));
  const last = board.httpAnswer(PROOF.token);
  await until(() => reads.length === 3);
  reads[2]?.reject(new StoreUnavailable("lost", false));
  assert.equal(await last, undefined);
});

Deno.test("without a store a node answers for itself", async () => {
  const board = createProofBoard({
    clock: new FakeClock(),
    emit: () => {},
    records: () => {
      throw new StoreUnavailable("lost", false);
    },
    tlsNames: () => new Set(),
  });
  assert.equal(await board.httpAnswer(PROOF.token), undefined);
  assert.equal(board.tls.expected(), false);
});

Deno.test("a certificate for other names or for another key is told from the right one", async () => {
  const own = await makeCertificate({ names: ["mx.example.net", "www.example.net"] });
  const other = await makeCertificate({ names: ["mx.example.net"] });
  const { notAfter, notBefore } = checkCertificate(own, ["www.example.net", "mx.example.net"]);
  assert.ok(notBefore < Date.now() && Date.now() < notAfter);
  assert.throws(() => checkCertificate(own, ["mx.example.net", "more.example.net"]), /not for more\.example\.net/);
  assert.throws(() => checkCertificate({ ...own, privateKey: other.privateKey }, ["mx.example.net"]), /another key/);
  assert.throws(() => checkCertificate({ ...own, cert: "nothing" }, ["mx.example.net"]), /no certificate/);
  // Without the identifier of its issuer's key it has no name at the authority.
  assert.equal(await renewalId(own.cert), undefined);
});

Deno.test("what comes with a certificate has to be certificates that can be read, and not too many (RFC 8555 §11.4)", async () => {
  const names = ["mx.example.net"];
  const issuer = await makeCertificate({ names: ["issuer"], authority: true });
  const { cert, privateKey } = await makeCertificate({ names, issuer });
  checkCertificate({ cert: `${cert}\n${issuer.cert}`, privateKey }, names);
  const refused = (more: string, words: RegExp) =>
    assert.throws(() => checkCertificate({ cert: `${cert}\n${more}`, privateKey }, names), words);
  refused(issuer.privateKey, /holds more than certificates/);
  refused("-----BEGIN CERTIFICATE-----\n", /holds more than certificates/);
  refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /./);
  refused(`${issuer.cert}\n`.repeat(16), /more than 16 certificates/);
});

Deno.test("the name of a certificate at its authority is that of RFC 9773, appendix A", async () => {
  assert.equal(await renewalId(APPENDIX_A), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
});

// The certificate of RFC 9773, appendix A.
const APPENDIX_A = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
