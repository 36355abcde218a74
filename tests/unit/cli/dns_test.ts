import assert from "node:assert/strict";
import { run } from "../../../src/cli/mod.ts";
import { records as dnsRecords } from "../../../src/cli/dns.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { tlsaFor } from "../../support/tlsa.ts";
import { createZone, type Zone, type ZoneEntry } from "../../support/zone.ts";
import { publicKeyText, signingKey } from "../../support/signing_keys.ts";

const rsa = signingKey("rsa-sha256", "r1");
const ed = signingKey("ed25519-sha256", "e1");

/** A configuration of mx.example.net with some settings. */
function configuration(settings: string): string {
  return `server.hostname = "mx.example.net"
store.data = { type = "libsql", url = "file:godwit.db" }
storage.data = "data"
server.listener.smtp = { bind = "127.0.0.1:25", protocol = "smtp" }
${settings}`;
}

/** Runs `godwit dns records` with a configuration. */
async function records(settings: string, ...args: readonly string[]) {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dns-" });
  try {
    const file = `${folder}/config.toml`;
    await Deno.writeTextFile(file, configuration(settings));
    const out: string[] = [];
    const err: string[] = [];
    const status = await run(["dns", "records", "--config", file, ...args], {
      print: (line) => out.push(line),
      error: (line) => err.push(line),
      write: () => Promise.resolve(),
      colours: false,
    });
    return { status, out, err };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs `godwit dns records --verify` against a zone. */
async function verified(settings: string, zone: Zone, ...args: readonly string[]) {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dns-" });
  try {
    const config = `${folder}/config.toml`;
    await Deno.writeTextFile(config, configuration(settings));
    const out: string[] = [];
    const output = {
      print: (line: string) => void out.push(line),
      error: (line: string) => void out.push(line),
      write: () => Promise.resolve(),
      colours: false,
    };
    const json = args.includes("--json");
    const status = await dnsRecords({ domain: "example.net", config, verify: true, json }, output, zone);
    return { status, out };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A signature in TOML. */
function signature(id: string, key: typeof rsa, domain: string, rest = ""): string {
  return `signature.${id} = { private-key = """${key.pem}""", domain = "${domain}", selector = "${key.selector}", algorithm = "${key.algorithm}"${rest} }\n`;
}

/** Records by name, or by name and the start of their text. */
async function published(settings: string, domain = "example.net"): Promise<Map<string, string>> {
  const { status, out } = await records(settings, "--domain", domain, "--json");
  assert.equal(status, 0);
  const all: { name: string; type: string; value: string }[] = JSON.parse(out.join("\n"));
  return new Map(all.map(({ name, type, value }) => [`${name} ${type}`, value]));
}

Deno.test("the records of a domain: MX, SPF, DMARC, TLS reports, and DKIM for each of its signatures", async () => {
  const found = await published(
    signature("a", rsa, "example.net") + signature("b", ed, "Example.net") + signature("c", rsa, "other.example") +
      'queue.connection.out = { source-ips = ["192.0.2.7", "2001:db8::7"] }\n',
  );
  assert.deepEqual([...found], [
    ["example.net MX", "10 mx.example.net."],
    ["example.net TXT", "v=spf1 mx ip4:192.0.2.7 ip6:2001:db8::7 -all"],
    ["mx.example.net TXT", "v=spf1 a ip4:192.0.2.7 ip6:2001:db8::7 -all"],
    ["r1._domainkey.example.net TXT", publicKeyText(rsa)],
    ["e1._domainkey.example.net TXT", publicKeyText(ed)],
    ["_dmarc.example.net TXT", "v=DMARC1; p=none; rua=mailto:postmaster@example.net"],
    ["_smtp._tls.example.net TXT", "v=TLSRPTv1; rua=mailto:postmaster@example.net"],
  ]);
});

Deno.test("a domain that is the name of the host has one SPF record", async () => {
  const { out } = await records("", "--domain", "mx.example.net", "--json");
  const all: { name: string; type: string; value: string }[] = JSON.parse(out.join("\n"));
  const own = all.filter(({ name, type }) => name === "mx.example.net" && type === "TXT");
  assert.deepEqual(own.map(({ value }) => value), ["v=spf1 mx -all"]);
});

const MX_NAMES = 'session.mta-sts.mx = ["mx.example.net", "*.example.org"]\n';

Deno.test("a policy to publish is announced by an id that changes with it, and by the name of its host", async () => {
  const found = await published(MX_NAMES);
  const announced = found.get("_mta-sts.example.net TXT") ?? "";
  // RFC 8461 §3.1
  assert.match(announced, /^v=STSv1; id=[A-Za-z0-9]{1,32}$/);
  assert.equal(found.get("mta-sts.example.net CNAME"), "mx.example.net.");
  assert.equal((await published(MX_NAMES)).get("_mta-sts.example.net TXT"), announced);
  const enforced = await published(`${MX_NAMES}session.mta-sts.mode = "enforce"\n`);
  assert.notEqual(enforced.get("_mta-sts.example.net TXT"), announced);
});

Deno.test("--verify knows a policy host by its alias or by any address, and misses it without", async () => {
  const announced = (await published(MX_NAMES)).get("_mta-sts.example.net TXT") ?? "";
  const host = async (entry: ZoneEntry) => {
    const zone = createZone({ "_mta-sts.example.net": { txt: [announced] }, "mta-sts.example.net": entry });
    const { out } = await verified(MX_NAMES, zone, "--json");
    const all: { name: string; state: string }[] = JSON.parse(out.join("\n"));
    return all.filter(({ name }) => name.includes("mta-sts")).map(({ state }) => state);
  };
  assert.deepEqual(await host({ cname: "mx.example.net" }), ["ok", "ok"]);
  assert.deepEqual(await host({ cname: "www.example.com" }), ["ok", "other"]);
  assert.deepEqual(await host({ aaaa: ["2001:db8::80"] }), ["ok", "other"]);
  assert.deepEqual(await host({}), ["ok", "missing"]);
});

Deno.test("a signature that asks for reports needs the record that says where to (RFC 6651 §3.2)", async () => {
  const found = await published(signature("a", ed, "example.net", ", report = true"));
  assert.equal(found.get("_report._domainkey.example.net TXT"), "ra=postmaster");
});

Deno.test("a domain that others sign for publishes that they may (RFC 6541 §4)", async () => {
  const third = ', third-party = "example.com"';
  const found = await published(
    signature("plain", ed, "one.example.net", third) +
      signature("hashed", ed, "two.example.net", `${third}, third-party-algo = "sha1"`) +
      signature("one", ed, "one.example.net", `${third}, third-party-algo = "sha1"`) +
      signature("long", ed, "example.org", `${third}, third-party-algo = "sha256"`),
    "example.com",
  );
  const names = [...found].filter(([name]) => name.includes("._atps.")).map(([name, value]) => [name, value]);
  assert.deepEqual(names, [
    ["one.example.net._atps.example.com TXT", "v=ATPS1; d=one.example.net"],
    ["ZTZGRRV3F45A4U6HLDKBF3ZCOW4V2AJX._atps.example.com TXT", "v=ATPS1; d=two.example.net"],
    ["QSP4I4D24CRHOPDZ3O3ZIU2KSGS3X6Z6._atps.example.com TXT", "v=ATPS1; d=one.example.net"],
    ["X6V4G5BSSWFQMM3A2OWWIYOJYRZVVZ7Y5XKGLEVF4DYBIUVS4S2Q._atps.example.com TXT", "v=ATPS1; d=example.org"],
  ]);
});

Deno.test("printed for people the records are a piece of a zone file", async () => {
  const { status, out, err } = await records(signature("a", rsa, "example.net"), "--domain", "EXAMPLE.net");
  assert.deepEqual([status, err], [0, []]);
  for (const line of out) assert.match(line, /^; \S|^\S+\. IN (?:MX|TXT) /);
  const key = out.find((line) => line.startsWith("r1._domainkey.example.net. IN TXT ( ")) ?? "";
  const strings = [...key.matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? "");
  assert.equal(strings.join(""), publicKeyText(rsa));
  assert.ok(strings.every((text) => text.length <= 255));
  assert.ok(!out.join("\n").includes("PRIVATE"));
});

Deno.test("without a signature for the domain that is said, and a wrong option or configuration ends it", async () => {
  const { status, err } = await records("", "--domain", "example.net");
  assert.equal(status, 0);
  assert.match(err.join("\n"), /no signature for example\.net is configured; 'godwit dkim keygen' makes a key/);
  assert.equal((await records("", "--domain", "no domain")).status, 2);
  const broken = await records("nonsense = 1\n", "--domain", "example.net");
  assert.equal(broken.status, 1);
  assert.match(broken.err.join("\n"), /nonsense/);
});

const SIGNED = signature("a", rsa, "example.net") + signature("b", ed, "example.net");
const PUBLISHED = {
  "example.net": { mx: [[10, "mx.example.net"]], txt: ["v=spf1 mx -all", "unrelated"] },
  "mx.example.net": { txt: ["v=spf1 a -all"] },
  // RFC 6376 §3.6.1: the version may be left out, and blanks may be anywhere.
  "r1._domainkey.example.net": { txt: [publicKeyText(rsa).replace("v=DKIM1; k=rsa; p=", "t=s; p= ")] },
  "e1._domainkey.example.net": { txt: [publicKeyText(ed).replaceAll("; ", ";")] },
  "_dmarc.example.net": { txt: ["v=DMARC1; p=reject"] },
  "_smtp._tls.example.net": { txt: ["v=TLSRPTv1;rua=mailto:postmaster@example.net"] },
} as const;

/** State of each record by name and type, as JSON has it. */
async function states(zone: Parameters<typeof createZone>[0]): Promise<[number, Record<string, string>]> {
  const { status, out } = await verified(SIGNED, createZone(zone), "--json");
  const all: { name: string; type: string; state: string }[] = JSON.parse(out.join("\n"));
  return [status, Object.fromEntries(all.map(({ name, type, state }) => [`${name} ${type}`, state]))];
}

Deno.test("--verify finds what is published, however it is written", async () => {
  const [status, found] = await states(PUBLISHED);
  assert.equal(status, 0);
  assert.deepEqual(found, {
    "example.net MX": "ok",
    "example.net TXT": "ok",
    "mx.example.net TXT": "ok",
    "r1._domainkey.example.net TXT": "ok",
    "e1._domainkey.example.net TXT": "ok",
    // A policy of the administrator's own.
    "_dmarc.example.net TXT": "other",
    "_smtp._tls.example.net TXT": "ok",
  });
});

Deno.test("--verify tells what is missing, wrong or cannot be looked up, and ends with 1", async () => {
  const [status, found] = await states({
    "example.net": { mx: [[10, "filter.example.com"]], txt: ["v=spf1 mx -all", "v=spf1 ~all"] },
    "mx.example.net": {},
    "r1._domainkey.example.net": { txt: ["v=DKIM1; k=rsa; p="] },
    "e1._domainkey.example.net": { error: "servfail" },
  });
  assert.equal(status, 1);
  assert.deepEqual(found, {
    "example.net MX": "other",
    // RFC 7208 §4.5: two records are an error.
    "example.net TXT": "wrong",
    "mx.example.net TXT": "missing",
    "r1._domainkey.example.net TXT": "wrong",
    "e1._domainkey.example.net TXT": "unknown",
    "_dmarc.example.net TXT": "missing",
    "_smtp._tls.example.net TXT": "missing",
  });
});

Deno.test("--verify looks at the key itself: capitals count, and what kind of key it is said to be (RFC 6376 §3.6.1)", async () => {
  const names = ["r1._domainkey.example.net", "e1._domainkey.example.net"] as const;
  const [rsaRecord, edRecord] = [publicKeyText(rsa), publicKeyText(ed)];
  const [, spoiled] = await states({
    ...PUBLISHED,
    [names[0]]: { txt: [rsaRecord.toLowerCase().replace("dkim1", "DKIM1")] },
    [names[1]]: { txt: [edRecord.replace("k=ed25519; ", "")] },
  });
  assert.deepEqual(names.map((name) => spoiled[`${name} TXT`]), ["wrong", "wrong"]);
  // Verifiers try each of several keys.
  const [, several] = await states({
    ...PUBLISHED,
    [names[0]]: { txt: ["v=DKIM1; p=AAAA", rsaRecord.replace("; ", ";")] },
  });
  assert.equal(several[`${names[0]} TXT`], "ok");
  const lowered = rsaRecord.toLowerCase().replace("dkim1", "DKIM1");
  const { out } = await verified(SIGNED, createZone({ ...PUBLISHED, [names[0]]: { txt: [lowered] } }), "--json");
  const all: { name: string; difference: string }[] = JSON.parse(out.join("\n"));
  assert.match(all.find(({ name }) => name === names[0])?.difference ?? "", /^it has p=.*, not .*: signatures that/);
});

Deno.test("--verify prints a table in which nothing from DNS is taken for more than text", async () => {
  const { out } = await verified(
    SIGNED,
    createZone({ ...PUBLISHED, "_dmarc.example.net": { txt: ["v=DMARC1; p=none; x=\x1b[2J"] } }),
  );
  assert.match(out[0] ?? "", /^state\s+type\s+name\s+found/);
  // Below it, what is not as proposed.
  assert.deepEqual(out.slice(8), [
    "",
    "_dmarc.example.net TXT: it has no rua=mailto:postmaster@example.net, it has x=\\u001b[2J besides",
  ]);
  assert.match(out.join("\n"), /^other\s+TXT\s+_dmarc\.example\.net\s+v=DMARC1; p=none; x=\\u001b\[2J$/m);
});

const host = await makeCertificate({ names: ["mx.example.net"] });
const second = await makeCertificate({ names: ["mx.example.net"], key: "rsa" });
const other = await makeCertificate({ names: ["other.example"] });
const CERTIFICATES = Object.entries({ host, second, other })
  .map(([id, { cert, privateKey }]) =>
    `certificate.${id} = { cert = """${cert}""", private-key = """${privateKey}""" }\n`
  )
  .join("");

/** The record for a certificate as text. */
async function tlsaText(certificate: typeof host): Promise<string> {
  const { usage, selector, matchingType, data } = await tlsaFor(certificate, 3, 1, 1);
  return `${usage} ${selector} ${matchingType} ${data.toHex()}`;
}

Deno.test("each certificate of the host name has a TLSA record for its key", async () => {
  const { out } = await records(CERTIFICATES, "--domain", "example.net", "--json");
  const all: { name: string; type: string; value: string }[] = JSON.parse(out.join("\n"));
  assert.deepEqual(
    all.filter(({ type }) => type === "TLSA").map(({ name, value }) => [name, value]),
    [
      ["_25._tcp.mx.example.net", await tlsaText(host)],
      ["_25._tcp.mx.example.net", await tlsaText(second)],
    ],
  );
});

Deno.test("--verify tells TLSA records that agree from those that would keep mail away", async () => {
  const name = "_25._tcp.mx.example.net";
  const cases = [
    [{ tlsa: [await tlsaFor(host, 3, 1, 1), await tlsaFor(other, 3, 1, 1)], security: "secure" }, "ok"],
    [{ tlsa: [await tlsaFor(other, 3, 1, 1)], security: "secure" }, "wrong"],
    [{ tlsa: [], security: "secure" }, "missing"],
    [{ tlsa: [await tlsaFor(host, 3, 1, 1)] }, "wrong"],
    [{ tlsa: [] }, "other"],
  ] as const;
  const one = CERTIFICATES.slice(0, CERTIFICATES.indexOf("certificate.second"));
  for (const [entry, expected] of cases) {
    const { out } = await verified(one, createZone({ ...PUBLISHED, [name]: entry }), "--json");
    const all: { type: string; state: string }[] = JSON.parse(out.join("\n"));
    assert.equal(all.find(({ type }) => type === "TLSA")?.state, expected, JSON.stringify(entry));
  }
});

Deno.test("a key that is to follow has a record of its own, from a certificate, a private or a public key", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dns-" });
  try {
    const { publicKey } = second.signer.keys;
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)).toBase64();
    const files = {
      cert: second.cert,
      key: second.privateKey,
      public: `-----BEGIN PUBLIC KEY-----\n${spki.replace(/.{64}/g, "$&\n")}\n-----END PUBLIC KEY-----\n`,
    };
    const one = CERTIFICATES.slice(0, CERTIFICATES.indexOf("certificate.second"));
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      const { status, out } = await records(
        one,
        "--domain",
        "example.net",
        "--json",
        "--next-key",
        `${folder}/${name}`,
      );
      assert.equal(status, 0);
      const all: { type: string; value: string; purpose: string }[] = JSON.parse(out.join("\n"));
      const tlsa = all.filter(({ type }) => type === "TLSA");
      assert.deepEqual(tlsa.map(({ value }) => value), [await tlsaText(host), await tlsaText(second)]);
      assert.match(tlsa[1]?.purpose ?? "", /^DANE: the next key, /);
      assert.ok(!out.join("").includes("PRIVATE"));
    }
    await Deno.writeTextFile(`${folder}/cert`, "nonsense");
    const wrong = await records(one, "--domain", "example.net", "--next-key", `${folder}/cert`);
    assert.equal(wrong.status, 2);
    assert.match(wrong.err.join(""), /^--next-key \S+\/cert: expected a certificate, a private key/);
    assert.equal((await records(one, "--domain", "example.net", "--next-key", `${folder}/none`)).status, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("--verify explains each difference", async () => {
  const { out } = await verified(
    SIGNED + MX_NAMES + CERTIFICATES.slice(0, CERTIFICATES.indexOf("certificate.second")),
    createZone({
      "example.net": {
        mx: [[10, "filter.example.com"], [20, "b.example.com"]],
        txt: ["v=spf1 include:x.example a ~all"],
      },
      "mx.example.net": { txt: ["v=spf1 a -all", "v=spf1 -all"] },
      "r1._domainkey.example.net": { txt: [publicKeyText(ed).replace("ed25519", "rsa")] },
      "e1._domainkey.example.net": { error: "timeout" },
      "_dmarc.example.net": { txt: ["v=DMARC1; p=reject; rua=mailto:dmarc@example.net"] },
      "_mta-sts.example.net": { txt: ["v=STSv1; id=old1;"] },
      "mta-sts.example.net": { a: ["192.0.2.80"] },
      "_25._tcp.mx.example.net": { tlsa: [await tlsaFor(other, 3, 1, 1)], security: "secure" },
    }),
    "--json",
  );
  const all: { name: string; type: string; difference: string }[] = JSON.parse(out.join("\n"));
  const told = new Map(all.map(({ name, type, difference }) => [`${name} ${type}`, difference]));
  const has = (name: string, pattern: RegExp) => assert.match(told.get(name) ?? "", pattern, name);
  has(
    "example.net MX",
    /^mail goes to 10 filter\.example\.com\., 20 b\.example\.com\. instead, which has to pass it on to mx\.example\.net\.$/,
  );
  has(
    "example.net TXT",
    /^it lacks mx, so mail of this server may fail, it has include:x\.example a besides, it ends in ~all, -all is proposed$/,
  );
  has("mx.example.net TXT", /^there are 2 such records, which receivers take for none; keep one$/);
  has(
    "r1._domainkey.example.net TXT",
    /^it has p=.*, not .*: signatures that are made here do not verify; publish: r1\._domainkey\.example\.net\. IN TXT /,
  );
  has("e1._domainkey.example.net TXT", /^could not be looked up: .*timeout/);
  has(
    "_dmarc.example.net TXT",
    /^it has p=reject, not none, it has rua=mailto:dmarc@example\.net, not mailto:postmaster@example\.net$/,
  );
  has(
    "_mta-sts.example.net TXT",
    /^it has id=old1, not \w+: senders go on with the policy they have until it ends; publish the new id$/,
  );
  has("mta-sts.example.net CNAME", /^the name leads to 192\.0\.2\.80; whatever answers there has to serve the policy$/);
  has(
    "_25._tcp.mx.example.net TLSA",
    /^the record there is not for this key: senders that use DANE keep their mail back; publish: _25\._tcp\.mx\.example\.net\. IN TLSA 3 1 1 [0-9a-f]{64}$/,
  );
  has(
    "_smtp._tls.example.net TXT",
    /^there is none; nobody reports how TLS with the domain goes; publish: _smtp\._tls\.example\.net\. IN TXT "v=TLSRPTv1; /,
  );
});
