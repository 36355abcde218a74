import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { SignatureConfig } from "../../../src/config/mod.ts";
import { configOf, problemsOf, valueOf, type World } from "./loading.ts";

function rsa(bits: number): string {
  return generateKeyPairSync("rsa", { modulusLength: bits }).privateKey.export({ type: "pkcs1", format: "pem" })
    .toString();
}

const RSA = rsa(2048);
const ed25519 = generateKeyPairSync("ed25519");
const ED = ed25519.privateKey.export({ type: "pkcs8", format: "pem" }).toString();

const WORLD: World = {
  files: {
    "/etc/godwit/keys/rsa.pem": RSA,
    "/etc/godwit/keys/ed.pem": ED,
    "/etc/godwit/keys/short.pem": rsa(1024),
    "/etc/godwit/keys/shorter.pem": rsa(512),
    "/etc/godwit/keys/ec.pem": generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
      .export({ type: "pkcs8", format: "pem" }).toString(),
    "/etc/godwit/keys/none.pem": "nothing here",
  },
  env: { KEY: ED },
  modes: { "/etc/godwit/keys/rsa.pem": 0o100600, "/etc/godwit/keys/ed.pem": 0o100640 },
};

/** A complete signature with other lines added, in TOML. */
function signature(lines = "", key = "keys/rsa.pem", algorithm = "rsa-sha256"): string {
  return `[signature.s]
private-key = "${key}"
domain = "example.net"
selector = "mail2026"
algorithm = "${algorithm}"
${lines}
`;
}

function read(lines = "", key?: string, algorithm?: string): SignatureConfig {
  const found = configOf(signature(lines, key, algorithm), WORLD).signing.signatures.get("s");
  assert.ok(found);
  return found;
}

function problems(text: string, world: World = WORLD): readonly string[] {
  return problemsOf(text, world);
}

Deno.test("a signature has defaults for all but key, domain, selector and algorithm", () => {
  const { privateKey, ...rest } = read();
  assert.equal(privateKey.asymmetricKeyType, "rsa");
  assert.deepEqual(rest, {
    id: "s",
    domain: "example.net",
    selector: "mail2026",
    algorithm: "rsa-sha256",
    headers: [
      ...["From", "To", "Cc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "References"],
      ...["MIME-Version", "Content-Type", "List-Id"],
    ],
    canonicalization: { header: "relaxed", body: "relaxed" },
    expire: undefined,
    thirdParty: undefined,
    auid: undefined,
    setBodyLength: false,
    report: false,
  });
  assert.deepEqual(problems(signature()), []);
  assert.deepEqual(problems("[signature.s]").map((line) => line.split(":")[0]), [
    "signature.s.algorithm",
    "signature.s.private-key",
    "signature.s.domain",
    "signature.s.selector",
  ]);
});

Deno.test("every key of a signature reaches the configuration", () => {
  const all = read(`
headers = ["From", "subject", "Subject", "X-Own"]
canonicalization = "Simple/Relaxed"
expire = "2d"
third-party = "Author.Example"
third-party-algo = "SHA256"
auid = "ana@News.example.net"
report = true`);
  assert.deepEqual(all.headers, ["From", "Subject", "X-Own"]);
  assert.deepEqual(all.canonicalization, { header: "simple", body: "relaxed" });
  assert.equal(all.expire, 172_800_000);
  assert.deepEqual(all.thirdParty, { domain: "author.example", hash: "sha256" });
  assert.equal(all.auid, "ana@news.example.net");
  assert.equal(all.report, true);
  assert.deepEqual(read('third-party = "a.example"').thirdParty, { domain: "a.example", hash: "none" });
  // RFC 6376 §3.5: the second word left out means simple.
  assert.deepEqual(read('canonicalization = "relaxed"').canonicalization, { header: "relaxed", body: "simple" });
  assert.equal(read("set-body-length = true").setBodyLength, true);
});

Deno.test("an international domain is signed for under its A-labels", () => {
  const text = signature().replace("example.net", "bücher.example");
  assert.equal(configOf(text, WORLD).signing.signatures.get("s")?.domain, "xn--bcher-kva.example");
});

Deno.test("the key may be PEM text or come by a macro, and both spellings of an algorithm count", () => {
  assert.equal(read("", "%{env:KEY}%", "ed25519-sha256").privateKey.asymmetricKeyType, "ed25519");
  assert.equal(read("", "%{file:keys/rsa.pem}%", "rsa-sha-256").algorithm, "rsa-sha256");
  assert.equal(read("", "keys/rsa.pem", "RSA-SHA256").algorithm, "rsa-sha256");
  const inline = configOf(signature().replace('"keys/rsa.pem"', `"""${RSA}"""`), WORLD).signing.signatures.get("s");
  assert.deepEqual(
    createPublicKey(inline?.privateKey ?? "").export({ type: "spki", format: "der" }),
    createPublicKey(RSA).export({ type: "spki", format: "der" }),
  );
});

Deno.test("a dump of the configuration does not show the key", () => {
  const { signing } = configOf(signature("", "keys/ed.pem", "ed25519-sha256"), WORLD);
  const secret = ED.split("\n")[1]!;
  const dump = JSON.stringify([...signing.signatures]) + Deno.inspect(signing, { depth: 10, showHidden: true });
  assert.ok(!dump.includes(secret));
  assert.ok(!dump.includes(ed25519.privateKey.export({ format: "jwk" }).d!));
});

for (
  const [what, text, wanted] of [
    [
      "a key shorter than 1024 bits",
      signature("", "keys/shorter.pem"),
      /^signature\.s\.private-key: line 2: expected an RSA key of at least 1024 bits, found one of 512$/,
    ],
    [
      "an Ed25519 key for rsa-sha256",
      signature("", "keys/ed.pem"),
      /^signature\.s\.private-key: line 2: rsa-sha256 needs a key of the kind rsa, found ed25519$/,
    ],
    [
      "an RSA key for ed25519-sha256",
      signature("", "keys/rsa.pem", "ed25519-sha256"),
      /^signature\.s\.private-key: line 2: ed25519-sha256 needs a key of the kind ed25519, found rsa$/,
    ],
    ["a key of another kind", signature("", "keys/ec.pem"), /kind rsa, found ec$/],
    ["a file without a key", signature("", "keys/none.pem"), /line 2: expected a private key in PEM/],
    [
      "a file without a key, by a macro",
      signature("", "%{file:keys/none.pem}%"),
      /s\.private-key: line 2: what the file of "%\{file:keys\/none\.pem\}%" holds is neither PEM nor the path/,
    ],
    [
      "a file that is not there",
      signature("", "keys/gone.pem"),
      /line 2: cannot read the file "keys\/gone\.pem": there/,
    ],
    ["fields without From", signature('headers = ["Subject"]'), /s\.headers: line 6: From must be among/],
    ["no field at all", signature("headers = []"), /s\.headers: line 6: From must be among/],
    ["a field without a name", signature('headers = ["From", ""]'), /s\.headers: line 6: .*found ""$/],
    [
      "an algorithm that is none",
      signature("", "keys/ed.pem", "rsa-md5"),
      /^signature\.s\.algorithm: line 5: expected one of .*found "rsa-md5"$/,
    ],
    ["a field that is none", signature('headers = ["From", "Sub ject"]'), /s\.headers: line 6: .*found "Sub ject"/],
    [
      "an AUID elsewhere",
      signature('auid = "ana@example.org"'),
      /s\.auid: line 6: .*at the domain of the signature.*found "ana@example\.org"/,
    ],
    ["an AUID that only ends alike", signature('auid = "@notexample.net"'), /s\.auid: line 6: /],
    ["an AUID without a domain", signature('auid = "ana"'), /s\.auid: line 6: /],
    ["an expiry under a second", signature('expire = "10ms"'), /s\.expire: line 6: expected a duration of 1s/],
    ["a selector that no name can hold", signature().replace("mail2026", "m".repeat(64)), /s\.selector: line 4: /],
    ["a selector with a blank", signature().replace("mail2026", "mail 2026"), /s\.selector: line 4: .*"mail 2026"/],
    ["a domain that is none", signature().replace("example.net", "exa mple"), /s\.domain: line 3: expected a domain/],
    ["a signature that is not defined", `auth.dkim.sign = "'s2'"\n${signature()}`, /^auth\.dkim\.sign: line 1: /],
    ["a seal that is not defined", `auth.arc.seal = "'s2'"\n${signature()}`, /^auth\.arc\.seal: line 1: /],
  ] as const
) {
  Deno.test(`${what} is an error`, () => {
    const found = problems(text);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, wanted);
    assert.doesNotMatch(found[0]!, /: warning: /);
  });
}

for (
  const [what, text, wanted] of [
    ["rsa-sha1", signature("", "keys/rsa.pem", "rsa-sha1"), /s\.algorithm: warning: line 5: rsa-sha1 is obsolete/],
    ["a key of 1024 bits", signature("", "keys/short.pem"), /s\.private-key: warning: line 2: .*1024 bits; 2048/],
    ["a signed length", signature("set-body-length = true"), /s\.set-body-length: warning: line 6: /],
    ["a hash without its domain", signature('third-party-algo = "sha1"'), /s\.third-party-algo: warning: line 6: /],
    [
      "a seal with Ed25519",
      `auth.arc.seal = "'s'"\n${signature("", "keys/ed.pem", "ed25519-sha256")}`,
      /^auth\.arc\.seal: warning: line 1: .*ed25519-sha256; use rsa-sha256/,
    ],
  ] as const
) {
  Deno.test(`${what} brings a warning`, () => {
    const found = problems(text);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, wanted);
  });
}

Deno.test("a key file that everybody may read brings a warning, also by a macro", () => {
  const open = { ...WORLD, modes: { "/etc/godwit/keys/rsa.pem": 0o100644 } };
  for (const key of ["keys/rsa.pem", "%{file:keys/rsa.pem}%", "%{env:FILE}%"]) {
    assert.deepEqual(problems(signature("", key), { ...open, env: { FILE: "keys/rsa.pem" } }), [
      `signature.s.private-key: warning: line 2: the file "${key}" is open to every account of this machine ` +
      "(mode 644); allow its owner alone, mode 600",
    ]);
  }
});

Deno.test("which signatures a message gets may be computed", () => {
  const config = configOf(
    `auth.dkim.sign = "['s', 'ed_' + sender_domain]"
auth.arc.seal = [{ if = "local_port == 25", then = "'s'" }, { else = false }]
report.dsn.sign = "s"
${signature()}[signature."ed_example.net"]
private-key = "keys/ed.pem"
domain = "example.net"
selector = "ed"
algorithm = "ed25519-sha256"`,
    WORLD,
  );
  assert.deepEqual(valueOf(config.signing.sign, { sender_domain: "example.net" }), ["s", "ed_example.net"]);
  assert.deepEqual(valueOf(config.signing.sign, { sender_domain: "example.org" }), ["s"]);
  assert.equal(valueOf(config.signing.seal, { local_port: 25 }), "s");
  assert.equal(valueOf(config.signing.seal, { local_port: 587 }), false);
  assert.deepEqual(valueOf(config.report.dsn.sign), ["s"]);
  const none = configOf("");
  assert.deepEqual(valueOf(none.signing.sign), []);
  assert.equal(valueOf(none.signing.seal), false);
});
