import assert from "node:assert/strict";
import { makeCertificate } from "../../support/certificates.ts";
import { configOf, problemsOf } from "./loading.ts";

const REQUIRED = `acme.le = { contact = "postmaster@example.net", domains = "mx.example.net" }`;
const WEB = `server.listener.web = { bind = "0.0.0.0:443", protocol = "http", tls.implicit = true }`;

/** A section with these lines beside what it needs. */
function section(...lines: readonly string[]): string {
  const usual = ['contact = "postmaster@example.net"', 'domains = "mx.example.net"'];
  const missing = usual.filter((line) => !lines.some((own) => own.split(" ")[0] === line.split(" ")[0]));
  return `${WEB}\n[acme.le]\n${[...missing, ...lines].join("\n")}`;
}

const TSIG = [
  'challenge = "dns-01"',
  'provider = "rfc2136-tsig"',
  'host = "ns.example.net"',
  'key = "Acme."',
  'secret = "c2VjcmV0"',
];

Deno.test("a section needs contact and names, and has the defaults of the format", () => {
  assert.deepEqual(problemsOf(`${WEB}\n${REQUIRED}`), []);
  assert.deepEqual(configOf(`${WEB}\n${REQUIRED}`).acme, [{
    id: "le",
    directory: "https://acme-v02.api.letsencrypt.org/directory",
    contacts: ["mailto:postmaster@example.net"],
    domains: ["mx.example.net"],
    cache: "/etc/godwit/acme",
    renewBefore: 30 * 86_400_000,
    default: false,
    eab: undefined,
    challenge: { kind: "tls-alpn-01" },
  }]);
  const missing = problemsOf(`${WEB}\n[acme.le]\ndefault = true`).join("\n");
  assert.match(missing, /^acme\.le\.domains: line 2: required/m);
  assert.match(missing, /^acme\.le\.contact: line 2: required/m);
});

Deno.test("every key reaches the configuration", () => {
  const [le] = configOf(section(
    'directory = "https://ca.example/dir"',
    'contact = ["mailto:a@example.net", "b@example.net"]',
    'domains = ["MX.example.net.", "*.bücher.example"]',
    'cache = "/srv/keys"',
    'renew-before = "20d"',
    "default = true",
    'eab = { kid = "k", hmac-key = "ab+/AA==" }',
    'challenge = "dns-01"',
    'provider = "cloudflare"',
    'secret = "token"',
    'email = "a@example.net"',
    'timeout = "7s"',
    'polling-interval = "2s"',
    'propagation-timeout = "2m"',
    'ttl = "1m"',
    'origin = "Example.net."',
  )).acme;
  assert.deepEqual(le, {
    id: "le",
    directory: "https://ca.example/dir",
    contacts: ["mailto:a@example.net", "mailto:b@example.net"],
    domains: ["mx.example.net", "*.xn--bcher-kva.example"],
    cache: "/srv/keys",
    renewBefore: 20 * 86_400_000,
    default: true,
    eab: { kid: "k", hmacKey: "ab-_AA" },
    challenge: {
      kind: "dns-01",
      pollingInterval: 2000,
      propagationTimeout: 120_000,
      ttl: 60_000,
      origin: "example.net",
      provider: { kind: "cloudflare", secret: "token", email: "a@example.net", timeout: 7000 },
    },
  });
});

Deno.test("the settings of RFC 2136 reach the configuration", () => {
  const [le] = configOf(section(...TSIG, 'protocol = "tcp"', "port = 5353", 'tsig-algorithm = "hmac-sha512-256"')).acme;
  assert.deepEqual(le?.challenge.kind === "dns-01" && le.challenge.provider, {
    kind: "rfc2136-tsig",
    host: "ns.example.net",
    port: 5353,
    protocol: "tcp",
    key: "acme",
    secret: "c2VjcmV0",
    algorithm: "hmac-sha512-256",
  });
});

for (
  const [what, lines, wanted] of [
    [
      "a wildcard without dns-01",
      ['domains = "*.example.net"'],
      /domains: line \d+: '\*\.example\.net' can be proved by dns-01/,
    ],
    ["a name that is none", ['domains = "mx"'], /domains: line \d+: expected names such as .*'mx' is none/],
    ["an address instead of a name", ['domains = "192.0.2.1"'], /domains: .*'192\.0\.2\.1' is none/],
    ["no name", ["domains = []"], /domains: line \d+: names no domain/],
    ["no contact", ["contact = []"], /contact: line \d+: names no address/],
    ["a renewal at the end", ['renew-before = "0s"'], /renew-before: line \d+: expected a time .*, found 0/],
    [
      "a name of a key that is none",
      [...TSIG.slice(0, 3), 'key = "a..b"', 'secret = "c2VjcmV0"'],
      /key: line \d+: expected the name of the key as/,
    ],
    ["a TTL of more than 31 bits", [...TSIG, 'ttl = "24856d"'], /ttl: line \d+: expected 24855d or less/],
    [
      "the same certificate twice",
      [
        'domains = ["a.example", "b.example"]',
        "[acme.two]",
        'contact = "a@example.net"',
        'domains = ["b.example", "a.example"]',
      ],
      /acme\.two\.domains: line \d+: acme\.le orders a certificate for these names there already/,
    ],
    [
      "a contact that is no address",
      ['contact = "Ana"'],
      /contact: line \d+: expected e-mail addresses .*'Ana' is none/,
    ],
    ["half a binding", ['eab.kid = "k"'], /eab\.kid: line \d+: needs acme\.le\.eab\.hmac-key/],
    [
      "a binding that is no key",
      ['eab = { kid = "k", hmac-key = "?" }'],
      /hmac-key: line \d+: expected the key in base64/,
    ],
    ["no provider", ['challenge = "dns-01"', 'secret = "c2VjcmV0"'], /provider: line \d+: required/],
    ["no host", TSIG.filter((line) => !line.startsWith("host")), /host: line \d+: required for rfc2136-tsig/],
    ["no key", TSIG.filter((line) => !line.startsWith("key")), /key: line \d+: required for rfc2136-tsig/],
    [
      "a secret that is not base64",
      [...TSIG.slice(0, 4), 'secret = "?"'],
      /secret: line \d+: expected the secret .* base64/,
    ],
    ["Kerberos", [...TSIG, 'tsig-algorithm = "gss"'], /tsig-algorithm: line \d+: gss needs Kerberos/],
    ["a zone that is none", [...TSIG, 'origin = "a b"'], /origin: line \d+: expected a zone/],
    [
      "polling without a pause",
      [...TSIG, 'polling-interval = "1ms"'],
      /polling-interval: line \d+: expected 1s or more/,
    ],
    [
      "no time for a record to be seen",
      [...TSIG, 'propagation-timeout = "0s"'],
      /propagation-timeout: line \d+: expected a duration .*, longer than 0, found "0s"/,
    ],
    [
      "no time for an answer",
      ['challenge = "dns-01"', 'provider = "cloudflare"', 'secret = "token"', "timeout = 0"],
      /timeout: line \d+: expected a duration .*, longer than 0, found 0/,
    ],
  ] as const
) {
  Deno.test(`an error: ${what}`, () => {
    assert.match(problemsOf(section(...lines)).join("\n"), wanted);
  });
}

Deno.test("a directory without https is worth a warning", () => {
  const [problem = "", ...others] = problemsOf(section('directory = "http://ca.example/dir"'));
  assert.match(problem, /^acme\.le\.directory: warning: line \d+: is not https/);
  assert.deepEqual(others, []);
});

Deno.test("a challenge that nobody could answer is worth a warning", () => {
  const warningOf = (listener: string, challenge: string) =>
    problemsOf(
      `${listener}\n[acme.le]\ncontact = "a@example.net"\ndomains = "mx.example.net"\nchallenge = "${challenge}"`,
    )
      .join("\n");
  const http = (port: number) => `server.listener.web = { bind = "0.0.0.0:${port}", protocol = "http" }`;
  assert.equal(warningOf(http(80), "http-01"), "");
  assert.match(
    warningOf(http(8080), "http-01"),
    /^acme\.le\.challenge: warning: .*port 80; .* pass connections on to 'web'$/,
  );
  assert.match(warningOf(WEB, "http-01"), /port 80, and there is none: no certificate will be issued$/);
  assert.equal(warningOf(WEB, "tls-alpn-01"), "");
  assert.match(warningOf(WEB.replace("443", "465"), "tls-alpn-01"), /port 443; .* pass connections on to 'web'$/);
  assert.match(warningOf(http(80), "tls-alpn-01"), /port 443, and there is none/);
});

Deno.test("a listener with TLS may have an ordered certificate alone, and name it", () => {
  assert.deepEqual(problemsOf(`${WEB.replace("}", ', tls.certificate = "le" }')}\n${REQUIRED}`), []);
  assert.match(problemsOf(WEB).join("\n"), /define one as certificate\.<id> or acme\.<id>/);
});

Deno.test("an ordered certificate and one of a file do not share an id, and only one is the default", async () => {
  const { cert, privateKey } = await makeCertificate({ names: ["mx.example.net"] });
  const file = (id: string, more = "") =>
    `certificate.${id} = { cert = """${cert}""", private-key = """${privateKey}"""${more} }\n`;
  assert.match(
    problemsOf(`${WEB}\n${REQUIRED}\n${file("le")}`).join("\n"),
    /acme\.le\.domains: .*there is a certificate\.le too/,
  );
  assert.match(
    problemsOf(`${file("f", ", default = true")}${section("default = true")}`).join("\n"),
    /acme\.le\.default: .*only one certificate can be the default, and 'f' is it already/,
  );
  // With an ordered one beside it, it is not the only one any more.
  assert.match(
    problemsOf(`${WEB}\n${REQUIRED}\n${file("f")}`).join("\n"),
    /certificate\.f\.default: warning: .*get 'f'/,
  );
  assert.deepEqual(problemsOf(`${file("f")}${section("default = true")}`), []);
});

Deno.test("what only other challenges know is said to have no effect", () => {
  assert.match(
    problemsOf(section('provider = "cloudflare"')).join("\n"),
    /acme\.le\.provider: warning: .*has no effect here/,
  );
});
