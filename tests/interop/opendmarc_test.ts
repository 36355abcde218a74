/** DMARC of messages as OpenDMARC judges it, and as godwit does. */

import assert from "node:assert/strict";
import {
  authenticationResultsField,
  type AuthResults,
  evaluateDmarc,
  receivedSpfField,
} from "../../src/authentication/mod.ts";
import { checkContext, received } from "../support/signed_message.ts";
import { run } from "./server.ts";

/** Debian's own Python. */
const PYTHON = "/usr/bin/python3";

/** Policies by domain; none of them is for a part of the mail, which is left to chance. */
const POLICIES: Readonly<Record<string, string>> = {
  "example.org": "v=DMARC1; p=reject; sp=quarantine",
  "own.example.org": "v=DMARC1; p=none; rua=mailto:a@example.org",
  "example.com": "v=DMARC1; p=quarantine; adkim=s; aspf=s",
  "example.net": "v=DMARC1; p=none",
  "shop.example.co.uk": "v=DMARC1; p=reject; aspf=s",
  "example.co.uk": "v=DMARC1;p=reject;adkim=r;aspf=r;rf=afrf;ri=3600;fo=1",
  "capitals.info": "v=DMARC1; p=REJECT;",
};

const AUTHORS = [
  ...Object.keys(POLICIES),
  ...["mail.example.org", "a.b.own.example.org", "mail.example.com", "x.capitals.info", "b.shop.example.co.uk"],
  ...["unknown.info", "mail.unknown.info"],
];

// Not public suffixes: it takes "org" for an identifier in alignment with example.org, which RFC 7489 §3.2 does not.
const IDENTIFIERS = [...AUTHORS, "other.co.uk", "notexample.org", "example.or"];

interface Case {
  readonly from: string;
  /** Domains for which SPF and DKIM passed; `""` where none did. */
  readonly spf: string;
  readonly dkim: string;
}

const CASES: readonly Case[] = AUTHORS.flatMap((from) => [
  { from, spf: "", dkim: "" },
  ...IDENTIFIERS.flatMap((domain) => [{ from, spf: domain, dkim: "" }, { from, spf: "", dkim: domain }]),
]).filter(({ from, spf, dkim }) => !isUnderStrict(spf || dkim, from, spf === "" ? "adkim" : "aspf"));

/** Cases left out: where alignment is strict, it lets names under the author's domain pass against RFC 7489 §3.1. */
function isUnderStrict(identifier: string, author: string, tag: string): boolean {
  return identifier.endsWith(`.${author}`) && new RegExp(`\\b${tag}=s`, "i").test(POLICIES[author] ?? "");
}

/** Its resolver cannot be told of another port, so records are handed to it; the organization it finds itself. */
const JUDGE = `
import ctypes, json, sys
library = ctypes.CDLL("libopendmarc.so.2")
class Settings(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("suffixes", ctypes.c_char * 2048), ("rest", ctypes.c_uint8 * 64)]
given = json.load(sys.stdin)
policies = given["policies"]
settings = Settings(1, b"/usr/share/publicsuffix/public_suffix_list.dat")
assert library.opendmarc_policy_library_init(ctypes.byref(settings)) == 0
library.opendmarc_policy_connect_init.restype = ctypes.c_void_p
words = {14: "none", 15: "pass", 16: "fail reject", 17: "fail quarantine", 18: "fail none"}
for case in given["cases"]:
    message = ctypes.c_void_p(library.opendmarc_policy_connect_init(b"192.0.2.1", 4))
    author = case["from"]
    library.opendmarc_policy_store_from_domain(message, author.encode())
    if case["spf"]:
        library.opendmarc_policy_store_spf(message, case["spf"].encode(), 1, 1, None)
    if case["dkim"]:
        library.opendmarc_policy_store_dkim(message, case["dkim"].encode(), b"s", 1, None)
    found = ctypes.create_string_buffer(256)
    library.opendmarc_get_tld(author.encode(), found, 256)
    organization = found.value.decode()
    if author in policies:
        library.opendmarc_policy_store_dmarc(message, policies[author].encode(), author.encode(), None)
    elif organization in policies:
        record = policies[organization].encode()
        library.opendmarc_policy_store_dmarc(message, record, author.encode(), organization.encode())
    else:
        print(json.dumps("none"))
        continue
    verdict = library.opendmarc_get_policy_to_enforce(message)
    print(json.dumps(words.get(verdict, verdict)))
    library.opendmarc_policy_connect_shutdown(message)
`;

const ZONE = Object.fromEntries(Object.entries(POLICIES).map(([name, text]) => [`_dmarc.${name}`, { txt: [text] }]));

function resultsOf({ spf, dkim }: Case): Pick<AuthResults, "spfMailFrom" | "dkim"> {
  const named = { selector: "s", algorithm: "rsa-sha256", auid: "", signature: "", testing: false };
  return {
    ...(spf === "" ? {} : {
      spfMailFrom: { method: "spf", result: "pass", identity: "mailfrom", domain: spf, sender: `a@${spf}` },
    }),
    ...(dkim === ""
      ? {}
      : { dkim: [{ method: "dkim", result: "pass", domain: dkim, ...named, reportRequested: false }] }),
  };
}

async function ours(one: Case): Promise<string> {
  const { header } = received(`From: A <a@${one.from}>\r\n\r\n`);
  const { result, disposition } = await evaluateDmarc(header, resultsOf(one), checkContext(ZONE));
  return result === "fail" ? `fail ${disposition}` : result;
}

Deno.test("OpenDMARC judges every message of every author as godwit does", async () => {
  const output = await run(PYTHON, ["-c", JUDGE], JSON.stringify({ policies: POLICIES, cases: CASES }));
  const theirs = output.trim().split("\n").map((line): unknown => JSON.parse(line));
  assert.equal(theirs.length, CASES.length, output);
  const differences: unknown[] = [];
  for (const [index, one] of CASES.entries()) {
    const verdict = await ours(one);
    if (verdict !== theirs[index]) differences.push({ ...one, ours: verdict, theirs: theirs[index] });
  }
  assert.deepEqual(differences, []);
});

/** Ways to write an author. */
const FORMS: readonly ((address: string) => string)[] = [
  (address) => address,
  (address) => `Ana <${address}>`,
  (address) => `"Ana \\" <a@example.net>" <${address}>`,
  (address) => `${address} (a@example.net)`,
  (address) => `=?utf-8?q?a=40example=2Enet?= <${address}>`,
  (address) => `Ana\r\n\t<${address}>`,
];

/** Reading a message from a file, it takes `sender@example.org` for the return path, and SPF of others for somebody's. */
const FILTERED: readonly Case[] = AUTHORS.flatMap((from) => [
  { from, spf: "", dkim: "" },
  { from, spf: "example.org", dkim: "" },
  ...["example.com", "mail.example.org", "example.co.uk", "capitals.info"].map((dkim) => ({ from, spf: "", dkim })),
]).filter(({ from, spf, dkim }) => !isUnderStrict(spf || dkim, from, spf === "" ? "adkim" : "aspf"));

/** A message as godwit hands it on, and its verdict. */
async function handedOn(one: Case, author: string): Promise<{ readonly message: string; readonly verdict: string }> {
  const fields = `From: ${author}\r\nTo: bob@example.net\r\nSubject: x\r\n\r\nbody\r\n`;
  const { header } = received(fields);
  const results = resultsOf(one);
  const dmarc = await evaluateDmarc(header, results, checkContext(ZONE));
  const trace = [authenticationResultsField("mx.example.net", { ...results, dmarc }, "192.0.2.1")];
  // From this it takes SPF: of `smtp.mailfrom` it understands domains alone, no addresses.
  if (results.spfMailFrom !== undefined) {
    const { sender } = results.spfMailFrom;
    const about = { ip: "192.0.2.1", helo: "mail.example.org", sender, receiver: "mx.example.net" };
    trace.push(receivedSpfField(results.spfMailFrom, about));
  }
  return {
    message: (trace.map((field) => new TextDecoder().decode(field)).join("") + fields).replaceAll("\r\n", "\n"),
    verdict: dmarc.disposition === "reject" ? "refused" : dmarc.result,
  };
}

Deno.test("the filter of OpenDMARC reads the results that godwit writes, and decides alike", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/zone`,
      Object.entries(POLICIES).map(([name, text]) => `_dmarc.${name} ${text}\n`).join(""),
    );
    await Deno.writeTextFile(
      `${folder}/conf`,
      [
        "AuthservID filter.example.net",
        "TrustedAuthservIDs mx.example.net",
        "RejectFailures true",
        "PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat",
        `TestDNSData ${folder}/zone`,
        "",
      ].join("\n"),
    );
    const differences: unknown[] = [];
    for (const [index, one] of FILTERED.entries()) {
      const author = FORMS[index % FORMS.length]?.(`ana@${one.from}`) ?? "";
      const { message, verdict } = await handedOn(one, author);
      await Deno.writeTextFile(`${folder}/message`, message);
      const output = await run("opendmarc", ["-v", "-v", "-c", `${folder}/conf`, "-t", `${folder}/message`]);
      const theirs = output.includes("SMFIS_REJECT") ? "refused" : /; dmarc=([a-z]+)/.exec(output)?.[1];
      if (theirs !== verdict) differences.push({ ...one, author, ours: verdict, theirs });
    }
    assert.deepEqual(differences, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
