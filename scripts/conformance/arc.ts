/**
 * Runs the ValiMail ARC test suite (`arc-draft-validation-tests.yml`, kept outside of this repository) against our
 * validation and prints the score.
 *
 * deno run -A scripts/conformance/arc.ts PATH
 *
 * A suite file holds scenarios: TXT records, and tests, each with a message and the status its chain must have.
 */

import { parseAllDocuments } from "yaml";
import { verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { createZone } from "../../tests/support/zone.ts";

interface SuiteTest {
  readonly message: string | null;
  /** Empty for chains that their last sealer found broken: they fail too (RFC 8617 §5.2, step 2). */
  readonly cv: string;
}

interface Scenario {
  readonly description?: string;
  readonly tests: Readonly<Record<string, SuiteTest>>;
  readonly "txt-records"?: Readonly<Record<string, string>>;
}

const [path] = Deno.args;
if (path === undefined) {
  console.error("usage: deno run -A scripts/conformance/arc.ts PATH-OF-arc-draft-validation-tests.yml");
  Deno.exit(2);
}
const checks = { dkim: false, arc: true, strict: true };
let passed = 0;
let all = 0;
for (const document of parseAllDocuments(await Deno.readTextFile(path))) {
  const scenario = document.toJS() as Scenario | null;
  if (scenario === null) continue;
  const records = Object.entries(scenario["txt-records"] ?? {});
  const resolver = createZone(Object.fromEntries(records.map(([name, text]) => [name, { txt: [text] }])));
  for (const [name, test] of Object.entries(scenario.tests)) {
    all++;
    const bytes = new TextEncoder().encode((test.message ?? "").replace(/\r?\n/g, "\r\n"));
    const message = { content: memoryContent(bytes), header: parseHeader(bytes) };
    const { arc } = await verifySignatures(message, checks, { resolver, now: Date.now, random: Math.random });
    const wanted = test.cv.toLowerCase() || "fail";
    if (arc?.result === wanted) passed++;
    else console.log(`${scenario.description}: ${name}: wanted ${wanted}, got ${arc?.result} (${arc?.reason ?? ""})`);
  }
}
console.log(`${passed} of ${all} passed`);
if (passed < all) Deno.exit(1);
