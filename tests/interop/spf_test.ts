/** SPF beside pyspf, both asking the same real DNS server; and what godwit writes about it, read by authres. */

import assert from "node:assert/strict";
import { endProcess, freePort } from "../../scripts/bench/server.ts";
import { eventually, run, submit, withServer } from "./server.ts";

/** The Python that Debian's packages are for. */
const PYTHON = "/usr/bin/python3";

/** Records of domains under `spf.example`; the client is 127.0.0.1, which DNS calls `mail.spf.example`. */
const RECORDS: Readonly<Record<string, string>> = {
  pass: "v=spf1 ip4:127.0.0.0/8 -all",
  fail: "v=spf1 ip4:192.0.2.0/24 -all",
  softfail: "v=spf1 ~all",
  neutral: "v=spf1 ?all",
  open: "v=spf1",
  other: "google-site-verification=abc",
  capitals: "V=SPF1 IP4:127.0.0.1 -ALL",
  a: "v=spf1 a:mail.spf.example -all",
  acidr: "v=spf1 a:near.spf.example/30 -all",
  mx: "v=spf1 mx -all",
  mxother: "v=spf1 mx:mx.spf.example -all",
  ptr: "v=spf1 ptr:spf.example -all",
  ptrother: "v=spf1 ptr:elsewhere.example -all",
  exists: "v=spf1 exists:%{ir}.%{l}.list.spf.example -all",
  existsnot: "v=spf1 exists:%{i}.%{d2}.nowhere.example -all",
  include: "v=spf1 include:pass.spf.example -all",
  includefail: "v=spf1 include:fail.spf.example ~all",
  includenone: "v=spf1 include:nowhere.example -all",
  redirect: "v=spf1 redirect=fail.spf.example",
  redirectnone: "v=spf1 redirect=nowhere.example",
  loop: "v=spf1 include:loop.spf.example -all",
  many: `v=spf1 ${"a:near.spf.example ".repeat(11)}-all`,
  void: "v=spf1 a:n1.example a:n2.example a:n3.example -all",
  broken: "v=spf1 ip4:127.0.0.1/33 -all",
  unknown: "v=spf1 what=ever moo=%{d} ip4:127.0.0.1 -all",
  misspelt: "v=spf1 ipv4:127.0.0.1 -all",
  modifiers: "v=spf1 redirect=pass.spf.example redirect=pass.spf.example",
  exp: "v=spf1 exp=why.spf.example -all",
};

async function withDns(body: (port: number) => Promise<void>): Promise<void> {
  const port = freePort();
  const child = new Deno.Command("dnsmasq", {
    args: [
      ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="],
      ...[`--port=${port}`, "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/#/"],
      ...Object.entries(RECORDS).map(([name, text]) => `--txt-record=${name}.spf.example,${inParts(text)}`),
      "--txt-record=why.spf.example,%{i} may not send for %{d}",
      "--host-record=mail.spf.example,127.0.0.1",
      "--host-record=near.spf.example,127.0.0.2",
      "--host-record=1.0.0.127.ana.list.spf.example,127.0.0.2",
      "--mx-host=mx.spf.example,mail.spf.example,10",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await eventually(`dnsmasq listens on port ${port}`, async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return undefined;
      }
    });
    await body(port);
  } finally {
    await endProcess(child);
  }
}

/** Texts of at most 255 octets, as records hold them and dnsmasq takes them. */
function inParts(text: string): string {
  return (text.match(/.{1,255}/g) ?? []).join(",");
}

/** A field of a message as Python takes it: line ends without CR, none at its end. */
function fieldOf(mail: string, name: string): string {
  const [field] = new RegExp(`^${name}:.*\\n(?:[ \\t].*\\n)+`, "m").exec(mail.replaceAll("\r\n", "\n")) ?? [];
  assert.ok(field, mail);
  return field.trimEnd();
}

/** What pyspf has to say about each domain. */
async function pyspf(domains: readonly string[], port: number): Promise<Readonly<Record<string, string>>> {
  const script = `import json, spf, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], ${port}
dns.resolver.default_resolver = resolver
out = {}
for domain in json.loads(${JSON.stringify(JSON.stringify(domains))}):
  out[domain] = spf.check2(i="127.0.0.1", s="ana@" + domain, h="client.example")[0]
print(json.dumps(out))`;
  return JSON.parse(await run(PYTHON, ["-c", script])) as Record<string, string>;
}

/** Results of `Authentication-Results` fields, read by authres: `spf smtp.mailfrom value result`. */
async function authres(fields: readonly string[]): Promise<readonly (readonly string[])[]> {
  const script = `import json, sys, authres
out = []
for field in json.load(sys.stdin):
  header = authres.AuthenticationResultsHeader.parse(field)
  out.append([header.authserv_id] + [" ".join([r.method, r.result] +
    [p.type + "." + p.name + "=" + p.value for p in r.properties]) for r in header.results])
print(json.dumps(out))`;
  return JSON.parse(await run(PYTHON, ["-c", script], JSON.stringify(fields))) as string[][];
}

/** What pyspf reads out of Received-SPF fields: result, sender, client, EHLO name. */
async function readReceivedSpf(fields: readonly string[]): Promise<readonly (readonly string[])[]> {
  const script = `import json, sys, spf
out = []
for field in json.load(sys.stdin):
  query = spf.query("192.0.2.1", "", "")
  query.parse_header_spf(field)
  out.append([query.result, query.s, query.c, query.h])
print(json.dumps(out))`;
  return JSON.parse(await run(PYTHON, ["-c", script], JSON.stringify(fields))) as string[][];
}

Deno.test("godwit and pyspf come to the same results, and authres reads them", async () => {
  await withDns(async (port) => {
    const toml = `
[auth]
iprev.verify = "relaxed"
spf.verify.ehlo = "relaxed"
spf.verify.mail-from = "relaxed"
dmarc.verify = "relaxed"
[session.data.add-headers]
received-spf = true
auth-results = true
[resolver]
type = "custom"
custom = ["127.0.0.1:${port}"]
`;
    const domains = Object.keys(RECORDS).map((name) => `${name}.spf.example`);
    await withServer({ toml }, async (server) => {
      for (const domain of domains) await submit(server, "bob@example.net", { from: `ana@${domain}` });
      const mails = await server.mail("bob", domains.length);
      const theirs = await pyspf(domains, port);
      const fields = mails.map((mail) => fieldOf(mail, "Authentication-Results"));
      const ours: Record<string, string> = {};
      for (const [id, ...results] of await authres(fields)) {
        assert.equal(id, "mx.example.net");
        const spf = results.map((text) => /^spf (\w+) smtp\.mailfrom=ana@(.*)$/.exec(text)).find((match) => match);
        assert.ok(spf, results.join("\n"));
        ours[spf[2]!] = spf[1]!;
        assert.ok(results.some((text) => text.startsWith("iprev pass policy.iprev=127.0.0.1")), results.join("\n"));
        assert.ok(results.some((text) => /^dmarc none header\.from=client\.example/.test(text)), results.join("\n"));
      }
      assert.deepEqual(ours, theirs);
      const told = await readReceivedSpf(mails.map((mail) => fieldOf(mail, "Received-SPF").replace(/^[^:]+: /, "")));
      assert.deepEqual(Object.fromEntries(told.map(([result, sender]) => [sender?.split("@")[1], result])), ours);
      assert.ok(told.every(([, , ip, helo]) => ip === "127.0.0.1" && helo === "client.example"));
      // The suite must not be one of a single result.
      assert.deepEqual(
        [...new Set(Object.values(ours))].sort(),
        ["fail", "neutral", "none", "pass", "permerror", "softfail"],
      );
    });
  });
});
