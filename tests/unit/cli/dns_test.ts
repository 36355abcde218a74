import assert from "node:assert/strict";
import { run } from "../../../src/cli/mod.ts";
import { publicKeyText, signingKey } from "../../support/signing_keys.ts";

const rsa = signingKey("rsa-sha256", "r1");
const ed = signingKey("ed25519-sha256", "e1");

/** Runs `godwit dns records` with a configuration. */
async function records(settings: string, ...args: readonly string[]) {
  const folder = await Deno.makeTempDir({ prefix: "godwit-dns-" });
  try {
    const file = `${folder}/config.toml`;
    await Deno.writeTextFile(
      file,
      `server.hostname = "mx.example.net"
store.data = { type = "libsql", url = "file:godwit.db" }
storage.data = "data"
server.listener.smtp = { bind = "127.0.0.1:25", protocol = "smtp" }
${settings}`,
    );
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

Deno.test("the records of a domain: MX, SPF, DMARC, and DKIM for each of its signatures", async () => {
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
  ]);
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
      signature("one", ed, "one.example.net", `${third}, third-party-algo = "sha1"`),
    "example.com",
  );
  const names = [...found].filter(([name]) => name.includes("._atps.")).map(([name, value]) => [name, value]);
  assert.deepEqual(names, [
    ["one.example.net._atps.example.com TXT", "v=ATPS1; d=one.example.net"],
    ["ZTZGRRV3F45A4U6HLDKBF3ZCOW4V2AJX._atps.example.com TXT", "v=ATPS1; d=two.example.net"],
    ["QSP4I4D24CRHOPDZ3O3ZIU2KSGS3X6Z6._atps.example.com TXT", "v=ATPS1; d=one.example.net"],
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
