import assert from "node:assert/strict";
import { CertificateError, createCertificateStore } from "../../../src/net/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";

const mx = await makeCertificate({ names: ["mx.example.test", "MAIL.example.test"] });
const wild = await makeCertificate({ names: ["*.example.test"] });
const plain = await makeCertificate({ names: ["plain.test"], key: "rsa" });

Deno.test("the name decides: exact before wildcard, one label for the wildcard, else the default", () => {
  const store = createCertificateStore([
    certificateConfig("wild", wild),
    certificateConfig("mx", mx),
    certificateConfig("plain", plain, { default: true }),
  ]);
  const chosen = (name: string | undefined) => store.select(name)?.id;
  assert.equal(chosen("mx.example.test"), "mx");
  assert.equal(chosen("MX.Example.TEST."), "mx");
  assert.equal(chosen("mail.example.test"), "mx");
  assert.equal(chosen("other.example.test"), "wild");
  assert.equal(chosen("a.b.example.test"), "plain");
  assert.equal(chosen("example.test"), "plain");
  assert.equal(chosen("nodots"), "plain");
  assert.equal(chosen(undefined), "plain");
  assert.equal(chosen(""), "plain");
});

Deno.test("subjects are names beside those in the certificate", () => {
  const store = createCertificateStore([
    certificateConfig("plain", plain),
    certificateConfig("mx", mx, { subjects: ["Alias.test", "*.more.test"] }),
  ]);
  assert.deepEqual(store.certificates[1]?.names, [
    "mx.example.test",
    "mail.example.test",
    "alias.test",
    "*.more.test",
  ]);
  assert.equal(store.select("alias.test")?.id, "mx");
  assert.equal(store.select("any.more.test")?.id, "mx");
});

Deno.test("the default is the marked one, the listener's own before it, the first if none is marked", () => {
  const unmarked = [certificateConfig("mx", mx), certificateConfig("plain", plain)];
  assert.equal(createCertificateStore(unmarked).select(undefined)?.id, "mx");
  const marked = [certificateConfig("mx", mx), certificateConfig("plain", plain, { default: true })];
  assert.equal(createCertificateStore(marked).select(undefined)?.id, "plain");
  assert.equal(createCertificateStore(marked).select(undefined, "mx")?.id, "mx");
  assert.equal(createCertificateStore(marked).select(undefined, "gone")?.id, "plain");
  assert.equal(createCertificateStore([]).select("mx.example.test"), undefined);
});

Deno.test("what stands in until another arrives serves names that no certificate is for, also by a wildcard", async () => {
  const names = ["plain.test", "mx.example.test", "only.test"];
  const standIn = { ...certificateConfig("ordered", await makeCertificate({ names })), temporary: true };
  const known = [certificateConfig("plain", plain), certificateConfig("wild", wild)];
  for (const configs of [[...known, standIn], [standIn, ...known]]) {
    const store = createCertificateStore(configs);
    // An elliptic key would come first.
    assert.equal(store.select("plain.test", undefined, () => true)?.id, "plain");
    assert.equal(store.select("mx.example.test")?.id, "wild");
    assert.equal(store.select("only.test")?.id, "ordered");
    assert.equal(store.size, 3);
    store.replace(configs.map(({ temporary: _, ...config }) => config));
    assert.equal(store.select("plain.test", undefined, () => true)?.id, "ordered");
    assert.equal(store.select("mx.example.test")?.id, "ordered");
  }
});

Deno.test("kind of key and end of validity are known", () => {
  const store = createCertificateStore([certificateConfig("mx", mx), certificateConfig("plain", plain)]);
  assert.deepEqual(store.certificates.map((certificate) => certificate.key), ["ec", "rsa"]);
  const { notAfter } = mx.signer.certificate;
  assert.equal(store.certificates[0]?.expires, Math.floor(notAfter.getTime() / 1000) * 1000);
});

Deno.test("a replacement that cannot be used leaves everything as it was", () => {
  const store = createCertificateStore([certificateConfig("mx", mx)]);
  assert.throws(
    () => store.replace([certificateConfig("bad", mx, { privateKey: plain.privateKey })]),
    CertificateError,
  );
  assert.equal(store.select("mx.example.test")?.id, "mx");
  store.replace([certificateConfig("new", wild)]);
  assert.equal(store.select("mx.example.test")?.id, "new");
  assert.equal(store.size, 1);
});

Deno.test("what is wrong with a certificate is said, and of which file", () => {
  const fault = (more: Partial<{ cert: string; privateKey: string }>) => {
    try {
      createCertificateStore([certificateConfig("x", mx, more)]);
    } catch (error) {
      if (error instanceof CertificateError) return [error.id, error.key];
    }
    return assert.fail("no CertificateError");
  };
  assert.deepEqual(fault({ cert: "not PEM" }), ["x", "cert"]);
  assert.deepEqual(fault({ cert: mx.privateKey }), ["x", "cert"]);
  assert.deepEqual(fault({ privateKey: "not PEM" }), ["x", "private-key"]);
  assert.deepEqual(fault({ privateKey: mx.cert }), ["x", "private-key"]);
  assert.deepEqual(fault({ privateKey: plain.privateKey }), ["x", "private-key"]);
});

Deno.test("a chain with a certificate that nobody can read is refused, and which one it is", async () => {
  const issuer = await makeCertificate({ names: ["issuer"], authority: true });
  const leaf = await makeCertificate({ names: ["mx.example.test"], issuer });
  createCertificateStore([certificateConfig("mx", { ...leaf, cert: `${leaf.cert}${issuer.cert}` })]);
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  assert.throws(
    () => createCertificateStore([certificateConfig("mx", { ...leaf, cert: `${leaf.cert}${issuer.cert}${broken}` })]),
    { name: "CertificateError", key: "cert", message: /^certificate 3 of the chain cannot be read/ },
  );
});

Deno.test("a certificate signed by an intermediate shows the chain after it", async () => {
  const root = await makeCertificate({ names: ["root"], authority: true });
  const intermediate = await makeCertificate({ names: ["intermediate"], authority: true, issuer: root });
  const leaf = await makeCertificate({ names: ["leaf.test"], issuer: intermediate });
  assert.equal(leaf.cert.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.deepEqual(createCertificateStore([certificateConfig("leaf", leaf)]).certificates[0]?.names, ["leaf.test"]);
});
