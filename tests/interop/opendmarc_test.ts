/** DMARC of messages as OpenDMARC's library judges it, and as godwit does. */

import assert from "node:assert/strict";
import { type AuthResults, evaluateDmarc } from "../../src/authentication/mod.ts";
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

async function ours({ from, spf, dkim }: Case): Promise<string> {
  const named = { selector: "s", algorithm: "rsa-sha256", auid: "", signature: "", testing: false };
  const results: Pick<AuthResults, "spfMailFrom" | "dkim"> = {
    ...(spf === "" ? {} : {
      spfMailFrom: { method: "spf", result: "pass", identity: "mailfrom", domain: spf, sender: `a@${spf}` },
    }),
    ...(dkim === ""
      ? {}
      : { dkim: [{ method: "dkim", result: "pass", domain: dkim, ...named, reportRequested: false }] }),
  };
  const zone = Object.fromEntries(Object.entries(POLICIES).map(([name, text]) => [`_dmarc.${name}`, { txt: [text] }]));
  const { header } = received(`From: A <a@${from}>\r\n\r\n`);
  const { result, disposition } = await evaluateDmarc(header, results, checkContext(zone));
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
