/**
 * Runs the Sieve tests of Pigeonhole (`tests/` of its source, kept outside of this repository) and prints the score of
 * each folder, and every test that fails.
 *
 * deno run -A scripts/conformance/sieve.ts PATH
 *
 * A file that cannot be compiled counts with all the tests it holds. The files in `failures` are meant to fail, and to
 * do no more harm than that.
 */

import { dirname, join, relative, resolve } from "node:path";
import { runTests } from "../../src/sieve/mod.ts";

/** Extensions of Dovecot alone, which have to do with running programs and with its abuse reports. */
const OUT_OF_SCOPE = [/^plugins\//, /^extensions\/vnd\.dovecot\/(?:report|environment)\//];
const MEANT_TO_FAIL = /^failures\//;

interface Score {
  passed: number;
  all: number;
}

const [path] = Deno.args;
if (path === undefined) {
  console.error("usage: deno run -A scripts/conformance/sieve.ts PATH-OF-tests");
  Deno.exit(2);
}
const scores = new Map<string, Score>();
for (const file of await testFiles(path)) {
  const name = relative(path, file);
  if (OUT_OF_SCOPE.some((pattern) => pattern.test(name))) continue;
  const source = await Deno.readTextFile(file);
  const report = await runTests(source, {
    now: Date.now,
    zoneOffset: (time) => -new Date(time).getTimezoneOffset(),
    read: (beside) => readText(resolve(dirname(file), beside)),
    folder: resolve(dirname(file)),
  });
  const good = report.tests.filter(({ passed }) => passed).length;
  const broken = report.problems.length > 0 || report.error !== undefined;
  const failed = broken || good < report.tests.length;
  const score = scoreOf(dirname(name));
  if (MEANT_TO_FAIL.test(name)) {
    score.all++;
    if (failed) score.passed++;
    else console.log(`${name}: it should have failed`);
    continue;
  }
  score.passed += good;
  score.all += broken ? Math.max(report.tests.length + 1, testsIn(source)) : report.tests.length;
  for (const test of report.tests) if (!test.passed) console.log(`${name}: ${test.name}: ${test.reason ?? ""}`);
  for (const problem of report.problems) console.log(`${name}:${problem.line}: ${problem.message}`);
  if (report.error !== undefined) console.log(`${name}: ${report.error}`);
}
const total: Score = { passed: 0, all: 0 };
for (const [folder, { passed, all }] of scores) {
  console.log(`${folder.padEnd(36)} ${passed} of ${all}`);
  total.passed += passed;
  total.all += all;
}
console.log(`${total.passed} of ${total.all} passed`);
if (total.passed < total.all) Deno.exit(1);

async function testFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const inside = join(folder, entry.name);
    if (entry.isDirectory) files.push(...await testFiles(inside));
    else if (entry.name.endsWith(".svtest")) files.push(inside);
  }
  return files.sort();
}

function readText(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}

function scoreOf(folder: string): Score {
  const score = scores.get(folder) ?? { passed: 0, all: 0 };
  scores.set(folder, score);
  return score;
}

/** How many tests a file holds that could not be run. */
function testsIn(source: string): number {
  return source.match(/^\s*test "/gm)?.length ?? 0;
}
