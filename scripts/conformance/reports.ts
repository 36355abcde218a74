/**
 * Validates DMARC reports of ours with `xmllint` against the schemas that RFC 7489 (appendix C) and RFC 9990 (appendix A)
 * print. The texts of the RFCs are kept outside of this repository; for RFC 9990 the schema alone will do.
 *
 * deno run -A scripts/conformance/reports.ts rfc7489.txt rfc9990.txt
 *
 * As printed, the schema of RFC 7489 can be used by no validator: it puts its types into a namespace and then does not find
 * them there, and the line breaks in its pattern for addresses count. Both are undone here.
 */

import { join } from "node:path";
import type { DkimResult, DmarcObservation, DmarcRecord, DmarcResult } from "../../src/authentication/mod.ts";
import { readDmarcRecord } from "../../src/authentication/dmarc/record.ts";
import { feedbackXml } from "../../src/report/dmarc/feedback_xml.ts";
import { decodePolicy, encodePolicy } from "../../src/report/dmarc/policy.ts";
import { encodeRow, rowOf } from "../../src/report/dmarc/row.ts";

const [older, newer] = Deno.args;
if (older === undefined || newer === undefined) {
  console.error("usage: deno run -A scripts/conformance/reports.ts PATH-OF-rfc7489.txt PATH-OF-rfc9990.txt");
  Deno.exit(2);
}

/** The schema in a text that may be broken into pages. */
function schemaIn(text: string): string {
  const plain = text.split(/[\n\f]+/).filter((line) => !/\[Page \d+\]$|^RFC \d+ .*\d{4}$/.test(line)).join("\n");
  const [schema] = /<\?xml version="1\.0"\?>\s*<xs:schema[^]*?<\/xs:schema>/.exec(plain) ?? [];
  if (schema === undefined) throw new Error("there is no schema in the text");
  return schema.includes("http://dmarc.org/dmarc-xml/0.1")
    ? schema.replace(/\s*targetNamespace="[^"]*"/, "").replace(
      /(<xs:pattern value=")([^"]*)/,
      (_, start, pattern) => start + pattern.replace(/\s+/g, ""),
    )
    : schema;
}

function recordOf(text: string): DmarcRecord {
  const read = readDmarcRecord("example.org", text);
  if (typeof read === "string") throw new Error(read);
  return read.record;
}

const DKIM_VERDICTS = ["pass", "fail", "policy", "neutral", "temperror", "permerror"] as const;
const SPF_VERDICTS = ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"] as const;

/** Messages in which everything appears that a report can tell. */
function* observations(record: DmarcRecord): Generator<DmarcObservation> {
  const dkim: DkimResult[] = DKIM_VERDICTS.map((result, index) => ({
    method: "dkim",
    result,
    domain: `d${index}.example`,
    selector: "<s&\u0001>",
    algorithm: "rsa-sha256",
    auid: "",
    signature: "",
    testing: false,
    reportRequested: false,
  }));
  const outcomes: readonly Partial<DmarcResult>[] = [
    { result: "pass", disposition: "none" },
    { result: "fail", disposition: "reject" },
    { result: "fail", disposition: "quarantine", override: "sampled_out" },
    { result: "fail", disposition: "quarantine", override: "other" },
    { result: "temperror", disposition: "none" },
  ];
  for (const ip of ["192.0.2.1", "255.249.0.9", "2001:db8::1", "::"]) {
    for (const result of SPF_VERDICTS) {
      for (const outcome of outcomes) {
        for (const refused of [true, false]) {
          const dmarc: DmarcResult = {
            method: "dmarc",
            result: "pass",
            fromDomain: "mail.example.org",
            record,
            discovery: "psl",
            policy: "reject",
            disposition: "none",
            spfAligned: result === "pass",
            dkimAligned: refused,
            ...outcome,
          };
          const spf = { method: "spf", result, identity: "mailfrom", domain: "example.org", sender: "" } as const;
          yield {
            ip,
            sender: refused ? "" : "a@example.org",
            refused,
            results: { dkim: refused ? dkim : [], dmarc, ...(refused ? { spfMailFrom: spf } : {}) },
          };
        }
      }
    }
  }
}

let failed = 0;
let count = 0;
const folder = await Deno.makeTempDir({ prefix: "godwit_reports_" });
try {
  for (const [path, discovery] of [[older, "psl"], [newer, "treewalk"]] as const) {
    const schema = join(folder, `${discovery}.xsd`);
    await Deno.writeTextFile(schema, schemaIn(await Deno.readTextFile(path)));
    for (
      const text of [
        "v=DMARC1; p=none; rua=mailto:r@example.org",
        "v=DMARC1; p=reject; sp=none; adkim=s; aspf=s; pct=20; fo=1:d:s; rua=mailto:r@example.org",
        "v=DMARC1; p=quarantine; np=reject; t=y; psd=n; rua=mailto:r@example.org",
      ]
    ) {
      for (const more of [{ errors: [] }, { errors: ["one", "two"], contactInfo: "https://example.net/?a&b" }]) {
        const record = recordOf(text);
        const metadata = {
          orgName: 'A "B" & C',
          email: "dmarc@example.net",
          reportId: "0123",
          begins: Date.UTC(2026, 0, 5),
          ends: Date.UTC(2026, 0, 6),
          generator: "godwit",
          ...more,
        };
        const rows = [...observations(record)].map((one) => ({ result: encodeRow(rowOf(one)), count: 3 }));
        const pages = (async function* () {
          yield await Promise.resolve(rows);
        })();
        const policy = decodePolicy(encodePolicy(record, discovery));
        const report = join(folder, `${++count}.xml`);
        const pieces = await Array.fromAsync(feedbackXml(metadata, "example.org", policy, pages));
        await Deno.writeTextFile(report, pieces.join(""));
        const { success, stderr } = await new Deno.Command("xmllint", { args: ["--noout", "--schema", schema, report] })
          .output();
        if (success) continue;
        failed++;
        console.log(`${discovery}, ${text}:\n${new TextDecoder().decode(stderr)}`);
      }
    }
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
console.log(`${count - failed} of ${count} reports are valid`);
if (failed > 0) Deno.exit(1);
