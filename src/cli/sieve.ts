/** `godwit sieve`: checks scripts, runs them on a message, and runs their tests. */

import { Command } from "commander";
import { dirname, resolve } from "node:path";
import { compileScript, formatProblem, runTests, SERVER_NAMESPACES, type TestReport } from "../sieve/mod.ts";
import { type Output, printable } from "./output.ts";
import { readBeside, readScript } from "./sieve_file.ts";
import { addRunCommand } from "./sieve_run.ts";

interface SieveOptions {
  readonly json?: boolean;
}

interface CheckOptions extends SieveOptions {
  readonly capabilityCheck: boolean;
}

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function sieveCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const sieve = new Command("sieve").description("check Sieve scripts, run them, and run their tests");
  sieve.command("check")
    .description("compile a script and print every problem")
    .argument("<file>")
    .option("--no-capability-check", "extensions work without require, as in scripts of the configuration")
    .option("--json", "print JSON")
    .action((file: string, options: CheckOptions) => ending(checkScript(file, options, output)));
  addRunCommand(sieve, output, ending);
  sieve.command("test")
    .description("run test files (vnd.dovecot.testsuite)")
    .argument("<file...>")
    .option("--json", "print JSON")
    .action((files: string[], options: SieveOptions) => ending(testScripts(files, options, output)));
  return sieve;
}

/** Prints every problem, one a line. @returns 0 if the script can be run, else 1 */
async function checkScript(file: string, options: CheckOptions, output: Output): Promise<number> {
  const source = await readScript(file, output);
  if (source === undefined) return 1;
  const { script, problems } = compileScript(source, {
    name: file,
    noCapabilityCheck: !options.capabilityCheck,
    thorough: true,
    namespaces: SERVER_NAMESPACES,
    loadScript: (_location, name) => readBeside(file, `${name}.sieve`),
  });
  const valid = script !== undefined;
  if (options.json === true) {
    output.print(JSON.stringify({ file, valid, problems }));
  } else {
    for (const problem of problems) output.print(printable(formatProblem(problem, file)));
    const errors = problems.filter(({ severity }) => severity === "error").length;
    output.print(valid ? `${file} is valid` : `${file} has ${errors} error${errors === 1 ? "" : "s"}`);
  }
  return valid ? 0 : 1;
}

/** Runs test files one after the other. @returns 0 if all tests passed, else 1 */
async function testScripts(files: readonly string[], options: SieveOptions, output: Output): Promise<number> {
  const reports: { readonly file: string; readonly tests: TestReport["tests"] }[] = [];
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const report = await testFile(file, output);
    reports.push({ file, tests: report.tests });
    for (const test of report.tests) test.passed ? passed++ : failed++;
    if (options.json !== true) { for (const line of reportLines(file, report)) output.print(printable(line)); }
  }
  if (options.json === true) output.print(JSON.stringify({ files: reports }));
  else output.print(`${passed} passed, ${failed} failed, in ${files.length} file${files.length === 1 ? "" : "s"}`);
  return failed === 0 ? 0 : 1;
}

async function testFile(file: string, output: Output): Promise<TestReport> {
  const source = await readScript(file, output);
  const failure = (reason: string) => ({ name: "the file as a whole", passed: false, reason });
  if (source === undefined) return { tests: [failure("it cannot be read")], problems: [], error: undefined };
  const report = await runTests(source, {
    now: () => Date.now(),
    zoneOffset: (time) => -new Date(time).getTimezoneOffset(),
    read: (path) => readBeside(file, path),
    folder: resolve(dirname(file)),
  });
  if (report.problems.length > 0) {
    const reason = report.problems.map((problem) => formatProblem(problem, file)).join("\n");
    return { ...report, tests: [...report.tests, failure(reason)] };
  }
  return report.error === undefined ? report : { ...report, tests: [...report.tests, failure(report.error)] };
}

function* reportLines(file: string, { tests }: TestReport): Generator<string> {
  const failed = tests.filter(({ passed }) => !passed);
  yield `${failed.length === 0 ? "ok  " : "FAIL"} ${file}  ${tests.length - failed.length} of ${tests.length}`;
  for (const { name, reason } of failed) {
    yield `       ${name}`;
    for (const line of (reason ?? "").split("\n")) yield `         ${line}`;
  }
}
