import assert from "node:assert/strict";
import { makeCertificate } from "../../support/certificates.ts";
import { configOf, problemsOf } from "./loading.ts";

const first = await makeCertificate({ names: ["mx.example.net"] });
const second = await makeCertificate({ names: ["*.example.org"], key: "rsa" });

const FILES = {
  "/etc/godwit/tls/cert.pem": first.cert,
  "/etc/godwit/tls/key.pem": first.privateKey,
  "/srv/second.pem": second.cert + first.cert,
  "/srv/second.key": second.privateKey,
  "/srv/broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  "/srv/text": "just\ntext",
};

const LISTENER = 'server.listener.a = { bind = "192.0.2.1", protocol = "smtp", tls.implicit = true }\n';

Deno.test("certificate and key are read from files, whose paths start at the folder of the configuration", () => {
  const config = configOf(
    `${LISTENER}certificate.main = { cert = "tls/cert.pem", private-key = "tls/key.pem", subjects = "also.example" }`,
    { files: FILES },
  );
  assert.deepEqual(config.certificates, [{
    id: "main",
    cert: first.cert,
    privateKey: first.privateKey,
    subjects: ["also.example"],
    default: true,
    files: { cert: "/etc/godwit/tls/cert.pem", privateKey: "/etc/godwit/tls/key.pem" },
  }]);
  assert.deepEqual(config.server.listeners[0]?.bind, [{ ip: "192.0.2.1", port: 465 }]);
  assert.equal(config.server.listeners[0]?.tls.implicit, true);
});

Deno.test("certificate and key may be PEM text, of the file itself or by macros", () => {
  const byMacro = configOf('certificate.main = { cert = "%{file:tls/cert.pem}%", private-key = "%{env:KEY}%" }', {
    files: FILES,
    env: { KEY: first.privateKey },
  });
  assert.equal(byMacro.certificates[0]?.privateKey, first.privateKey);
  assert.deepEqual(byMacro.certificates[0]?.files, { cert: "/etc/godwit/tls/cert.pem", privateKey: undefined });
  const inline = configOf(`[certificate.main]\ncert = """${first.cert}"""\nprivate-key = """${first.privateKey}"""`);
  assert.equal(inline.certificates[0]?.cert, first.cert);
});

Deno.test("of a chain the first certificate is the one that the key belongs to", () => {
  assert.deepEqual(
    problemsOf('certificate.x = { cert = "/srv/second.pem", private-key = "/srv/second.key" }', { files: FILES }),
    [],
  );
});

Deno.test("the default is the only certificate, or the one that is marked", () => {
  const two = `[certificate.a]\ncert = "tls/cert.pem"\nprivate-key = "tls/key.pem"
[certificate.b]\ncert = "/srv/second.pem"\nprivate-key = "/srv/second.key"\n`;
  const marked = configOf(`${two}default = true`, { files: FILES });
  assert.deepEqual(marked.certificates.map((certificate) => certificate.default), [false, true]);
  assert.deepEqual(problemsOf(`${two}default = true`, { files: FILES }), []);
  assert.deepEqual(problemsOf(two, { files: FILES }), [
    "certificate.a.default: warning: line 1: no certificate is marked as default; clients that send no server name get 'a'",
  ]);
  assert.deepEqual(problemsOf(`server.tls.certificate = "b"\n${two}`, { files: FILES }), []);
  assert.deepEqual(
    problemsOf(two.replace("[certificate.b]", "default = true\n[certificate.b]") + "default = true", { files: FILES }),
    [
      "certificate.b.default: line 8: only one certificate can be the default, and 'a' is it already",
    ],
  );
});

Deno.test("a listener may name its certificate", () => {
  const config = configOf(
    `certificate.main = { cert = "tls/cert.pem", private-key = "tls/key.pem" }
server.listener.a = { bind = "192.0.2.1", protocol = "smtp", tls.certificate = "main" }`,
    { files: FILES },
  );
  assert.equal(config.server.listeners[0]?.tls.certificate, "main");
});

Deno.test("what is wrong with a certificate or key is said without showing it", () => {
  for (
    const [cert, key, wanted] of [
      ["tls/cert.pem", "/srv/second.key", [/^certificate\.x\.private-key: line 3: this key does not belong/]],
      ["/srv/broken.pem", "tls/key.pem", [/^certificate\.x\.cert: line 2: expected a certificate in PEM/]],
      ["/srv/text", "/srv/text", [
        /x\.cert: line 2: expected a certificate/,
        /x\.private-key: line 3: expected a private key/,
      ]],
      ["tls/key.pem", "tls/cert.pem", [
        /x\.cert: line 2: expected a certificate/,
        /x\.private-key: line 3: expected a private/,
      ]],
      ["none.pem", "tls/key.pem", [
        /^certificate\.x\.cert: line 2: cannot read the file "none\.pem": there is no such file$/,
      ]],
    ] as const
  ) {
    const problems = problemsOf(`[certificate.x]\ncert = "${cert}"\nprivate-key = "${key}"`, { files: FILES });
    assert.equal(problems.length, wanted.length, problems.join("\n"));
    problems.forEach((line, index) => assert.match(line, wanted[index]!));
  }
  assert.deepEqual(
    problemsOf("[certificate.x]\ncert = '''\nsome\ntext'''\nprivate-key = 'tls/key.pem'", { files: FILES }),
    [
      "certificate.x.cert: line 2: expected PEM text or the path of a PEM file, found text of another kind",
    ],
  );
  assert.equal(problemsOf("[certificate.x]").length, 2);
});

Deno.test("suites that are left but not for the key of a certificate are as good as none", () => {
  const certificates = (usual: string) => `
certificate.ec = { cert = "tls/cert.pem", private-key = "tls/key.pem", default = ${usual === "ec"} }
certificate.rsa = { cert = "/srv/second.pem", private-key = "/srv/second.key", default = ${usual === "rsa"} }
`;
  const only = 'certificate.ec = { cert = "tls/cert.pem", private-key = "tls/key.pem" }\n';
  const off = (kind: "ECDSA" | "RSA") =>
    `server.listener.a = { bind = "192.0.2.1:25", protocol = "smtp" }
server.tls = { disable-protocols = "TLSv1.3", disable-ciphers = ["TLS_ECDHE_${kind}_WITH_AES_256_GCM_SHA384", \
"TLS_ECDHE_${kind}_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_${kind}_WITH_CHACHA20_POLY1305_SHA256"] }
`.replaceAll("\\\n", "");
  /** What is said beside the advice that every list of suites gets. */
  const said = (text: string) =>
    problemsOf(text, { files: FILES }).filter((problem) => !problem.includes("leaves the choice to the client"));
  const about = "server\\.listener\\.a\\.tls\\.disable-ciphers";
  for (const text of [only, certificates("ec")]) {
    const [problem = "", ...others] = said(off("ECDSA") + text);
    assert.match(problem, new RegExp(`^${about}: line 1: no suite of TLS is left for the certificate 'ec', .* ECDSA;`));
    assert.deepEqual(others, []);
  }
  const [warning = "", ...others] = said(off("ECDSA") + certificates("rsa"));
  assert.match(warning, new RegExp(`^${about}: warning: line 1: no suite .* 'ec', .*, so listener 'a' refuses TLS`));
  assert.deepEqual(others, []);
  assert.match(said(off("RSA") + certificates("rsa"))[0] ?? "", /certificate 'rsa', whose key is for RSA;/);
  assert.deepEqual(said(off("RSA") + only), []);
  // TLS 1.3 leaves the kind of key open (RFC 8446 §4.2.3).
  assert.deepEqual(said(off("ECDSA").replace("TLSv1.3", "TLSv1.2") + only), []);
});
