/**
 * What checking who sends costs: messages accepted per second with SPF of both names, the reverse lookup, DKIM
 * (rsa-sha256, 2048 bits), ARC and DMARC, beside a server that checks nothing. DNS answers from the cache. Both get the
 * same signed messages in turns while the next hop never answers; the medians are compared, and the exit status is 1 if
 * checking leaves less than 70 %.
 *
 * ```sh
 * deno run -A tests/bench/authentication_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { createSigner } from "../../src/authentication/mod.ts";
import { memoryContent } from "../../src/message/mod.ts";
import { composeMessage } from "../../scripts/mail/dialogue.ts";
import { type DnsServer, record, startDnsServer } from "../support/dns_server.ts";
import { compare, readOptions, report } from "./acceptance.ts";

const options = readOptions();

/** Share of the bare rate that must be left. */
const TARGET = 0.7;

const key = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** The signature of the message that the generator sends, as the value of its field. */
async function signature(): Promise<string> {
  const signer = createSigner(
    new Map([["s", {
      id: "s",
      privateKey: key.privateKey,
      domain: "client.example",
      selector: "s",
      algorithm: "rsa-sha256",
      headers: ["From", "To", "Date", "Subject"],
      canonicalization: { header: "relaxed", body: "relaxed" },
      expire: undefined,
      thirdParty: undefined,
      auid: undefined,
      setBodyLength: false,
      report: false,
    }]]),
    { threads: 1, now: Date.now, emit: () => {} },
  );
  const sign = async (headers: Readonly<Record<string, string>>) => {
    // Without the dot that ends the data.
    const message = composeMessage(options.load.size, headers).slice(0, -3);
    const field = await signer.sign({ content: memoryContent(message), signatures: ["s"], about: {} });
    return new TextDecoder().decode(field).replace(/^[^:]+:/, "").replace(/\r\n/g, "").trim();
  };
  // How long the body is depends on the length of the header, so it takes a second time.
  return await sign({ "DKIM-Signature": await sign({}) });
}

/** A sender who does everything right. */
function startDns(): Promise<DnsServer> {
  const publicKey = createPublicKey(key.privateKey).export({ type: "spki", format: "der" }).toString("base64");
  const answers: Readonly<Record<string, unknown>> = {
    "TXT client.example": "v=spf1 mx include:_spf.client.example -all",
    "MX client.example": { preference: 10, exchange: "mx.client.example" },
    "A mx.client.example": "192.0.2.1",
    "TXT _spf.client.example": "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip4:127.0.0.0/8 -all",
    "TXT _dmarc.client.example": "v=DMARC1; p=reject; rua=mailto:dmarc@client.example",
    "TXT s._domainkey.client.example": [`v=DKIM1; k=rsa; p=${publicKey.slice(0, 200)}`, publicKey.slice(200)],
    "PTR 1.0.0.127.in-addr.arpa": "mail.client.example",
    "A mail.client.example": "127.0.0.1",
  };
  return startDnsServer(({ name, type }) => {
    const data = answers[`${type} ${name.toLowerCase()}`];
    return data === undefined ? { rcode: 3 } : { answers: [record(name, type, data)] };
  });
}

function withChecks(text: string, dnsPort: number): string {
  const off = /\[auth\]\n(?:[a-z.-]+ = "disable"\n)+/;
  if (!off.test(text)) throw new Error("the bench configuration has changed");
  return text.replace(
    off,
    `[auth]
iprev.verify = "strict"
spf.verify.ehlo = "strict"
spf.verify.mail-from = "strict"
dkim.verify = "strict"
arc.verify = "strict"
dmarc.verify = "strict"
[session.data.add-headers]
received-spf = true
auth-results = true
[resolver]
type = "custom"
custom = ["127.0.0.1:${dnsPort}"]
`,
  );
}

await using dns = await startDns();
const all = await compare([
  { name: "unchecked", configure: (bare) => bare },
  { name: "checked", configure: (bare) => withChecks(bare, dns.port) },
], {
  ...options,
  headers: { "DKIM-Signature": await signature() },
  // The compiler of the engine is not done before some thousand messages, and a server runs for longer than that.
  warmUp: 1,
});
if (!report(all, TARGET)) Deno.exitCode = 1;
console.log(`${dns.queries.length} questions were asked of DNS`);
