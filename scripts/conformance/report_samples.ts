/**
 * Reads reports that others have collected: `samples` of parsedmarc, `resources/arf`, `resources/dmarc-feedback` and
 * `resources/tlsrpt` of mail-auth. Every file is a mail or a document; `x.json` beside `x.eml` or `x.xml` is what another
 * program made of it, and is left out.
 *
 * ```sh
 * deno run -A scripts/conformance/report_samples.ts FOLDER...
 * ```
 */

import { findReports } from "../../src/report/analysis/examine.ts";
import { summarize } from "../../src/report/analysis/summary.ts";

const encoder = new TextEncoder();
const verbose = Deno.args.includes("--verbose");
let read = 0;
let all = 0;

for (const folder of Deno.args.filter((argument) => !argument.startsWith("--"))) {
  const paths = (await filesIn(folder)).toSorted();
  for (const path of paths) {
    const base = path.replace(/\.json$/, "");
    if (base !== path && (paths.includes(`${base}.eml`) || paths.includes(`${base}.xml`))) continue;
    all++;
    const mail = asMail(path, await Deno.readFile(path));
    const { reports, unreadable } = await findReports(mail, { pause: () => Promise.resolve() });
    if (reports.length > 0) read++;
    for (const { reason } of unreadable) console.log(`${path}: ${reason}`);
    if (!verbose) continue;
    for (const { report } of reports) {
      const { domains } = summarize(report, Date.now());
      const numbers = domains.map(({ domain, passed, failed }) => `${domain} ${passed} passed, ${failed} failed`);
      console.log(`${path}: ${report.kind} of ${report.reporter}: ${numbers.join("; ")}`);
      for (const problem of report.problems) console.log(`  ${problem}`);
    }
  }
}
console.log(`${read} of ${all} files hold a report that is read`);

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await filesIn(`${folder}/${name}`));
    else files.push(`${folder}/${name}`);
  }
  return files;
}

/** A document in a mail of its own; a mail as it is. */
function asMail(path: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  if (path.endsWith(".eml")) return bytes;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return encoder.encode(
    `Content-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n` +
      `${bytes.toBase64().replace(/.{76}/g, "$&\r\n")}\r\n`,
  );
}
