/**
 * Runs the signing part of the ValiMail ARC test suite (`arc-draft-sign-tests.yml`, kept outside of this repository)
 * against our sealing and prints the score.
 *
 * deno run -A scripts/conformance/arc_sign.ts PATH
 *
 * The suite wants tags in one order and just its fields signed, so that signatures can be compared octet for octet. Ours
 * have another order and sign more; so everything but the signatures is compared, and the chains are verified instead.
 */

import { createPrivateKey } from "node:crypto";
import { parseAllDocuments } from "yaml";
import { createSigner, verifySignatures } from "../../src/authentication/mod.ts";
import { fieldsNamed, firstField, memoryContent, type ParsedHeader, parseHeader } from "../../src/message/mod.ts";
import { createZone } from "../../tests/support/zone.ts";

interface SuiteTest {
  readonly message: string;
  readonly t: number;
  readonly "sig-headers": string;
  readonly "srv-id": string;
  /** Empty where there must be no seal. */
  readonly AS: string | null;
  readonly AMS: string | null;
  readonly AAR: string | null;
}

interface Scenario {
  readonly tests: Readonly<Record<string, SuiteTest>>;
  readonly domain: string;
  readonly sel: string;
  readonly privatekey: string;
  readonly "txt-records"?: Readonly<Record<string, string>>;
}

const encoder = new TextEncoder();

/** The results that this server has written, in one text, as the suite wants them put together. */
function ownResults(header: ParsedHeader, id: string): string {
  const parts = fieldsNamed(header, "authentication-results").flatMap((field) => {
    const [server = "", ...results] = field.value().split(";").map((part) => part.trim());
    return server === id ? results.filter((part) => part !== "") : [];
  });
  return [id, ...parts].join("; ");
}

/** Tags of a field by name, without blanks. */
function tagsOf(value: string): Map<string, string> {
  return new Map(
    value.replace(/\s+/g, "").split(";").filter((tag) => tag !== "").map((tag) => {
      const equals = tag.indexOf("=");
      return [tag.slice(0, equals), tag.slice(equals + 1)];
    }),
  );
}

const blanks = (text: string) => text.replace(/\s+/g, " ").trim();

/** What differs, in words; nothing if all is well. */
async function run(test: SuiteTest, scenario: Scenario): Promise<string[]> {
  const bytes = encoder.encode(test.message.replace(/\r?\n/g, "\r\n"));
  const header = parseHeader(bytes);
  const results = ownResults(header, test["srv-id"]);
  const [, chain = "none"] = /\barc=(none|pass|fail)\b/.exec(results) ?? [];
  const signer = createSigner(
    new Map([["s", {
      id: "s",
      privateKey: createPrivateKey(scenario.privatekey),
      domain: scenario.domain,
      selector: scenario.sel,
      algorithm: "rsa-sha256",
      headers: test["sig-headers"].split(":"),
      canonicalization: { header: "relaxed", body: "relaxed" },
      expire: undefined,
      thirdParty: undefined,
      auid: undefined,
      setBodyLength: false,
      report: false,
    }]]),
    { threads: 1, now: () => test.t * 1000, emit: () => {} },
  );
  const seal = { signature: "s", chain: chain as "none" | "pass" | "fail", results };
  const fields = await signer.sign({ content: memoryContent(bytes), header, signatures: [], seal, about: {} });
  if ((test.AS ?? "").trim() === "") return fields.length === 0 ? [] : ["sealed where there must be no seal"];
  const sealed = new Uint8Array([...fields, ...bytes]);
  const whole = parseHeader(sealed);
  const value = (name: string) => firstField(whole, name)?.value() ?? "";
  const problems: string[] = [];
  const compare = (what: string, found: string | undefined, wanted: string | undefined) => {
    if (found !== wanted) problems.push(`${what}: wanted ${wanted}, got ${found}`);
  };
  const wantedSeal = tagsOf(test.AS ?? "");
  const foundSeal = tagsOf(value("arc-seal"));
  for (const tag of ["a", "cv", "d", "i", "s", "t"]) compare(`AS ${tag}`, foundSeal.get(tag), wantedSeal.get(tag));
  compare("AS tags", [...foundSeal.keys()].sort().join(), [...wantedSeal.keys()].sort().join());
  const wantedSignature = tagsOf(test.AMS ?? "");
  const foundSignature = tagsOf(value("arc-message-signature"));
  for (const tag of ["a", "bh", "c", "d", "i", "s", "t"]) {
    compare(`AMS ${tag}`, foundSignature.get(tag), wantedSignature.get(tag));
  }
  const signed = (foundSignature.get("h") ?? "").toLowerCase().split(":");
  for (const name of (wantedSignature.get("h") ?? "").toLowerCase().split(":")) {
    if (!signed.includes(name) && firstField(header, name) !== undefined) problems.push(`AMS h: ${name} is not signed`);
  }
  compare("AAR", blanks(value("arc-authentication-results")), blanks(test.AAR ?? "").replace(/;$/, ""));
  const records = Object.entries(scenario["txt-records"] ?? {});
  const resolver = createZone(Object.fromEntries(records.map(([name, text]) => [name, { txt: [text] }])));
  const checks = { dkim: false, arc: true, strict: true };
  const context = { resolver, now: () => test.t * 1000, random: Math.random };
  const { arc } = await verifySignatures({ content: memoryContent(sealed), header: whole }, checks, context);
  compare("chain", arc?.result, chain === "fail" ? "fail" : "pass");
  return problems;
}

const [path] = Deno.args;
if (path === undefined) {
  console.error("usage: deno run -A scripts/conformance/arc_sign.ts PATH-OF-arc-draft-sign-tests.yml");
  Deno.exit(2);
}
let passed = 0;
let all = 0;
for (const document of parseAllDocuments(await Deno.readTextFile(path))) {
  const scenario = document.toJS() as Scenario | null;
  if (scenario === null) continue;
  for (const [name, test] of Object.entries(scenario.tests)) {
    all++;
    const problems = await run(test, scenario);
    if (problems.length === 0) passed++;
    else console.log(`${name}: ${problems.join("; ")}`);
  }
}
console.log(`${passed} of ${all} passed`);
if (passed < all) Deno.exit(1);
