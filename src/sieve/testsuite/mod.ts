/**
 * Tests of scripts, written in Sieve itself: the `vnd.dovecot.testsuite` language of Pigeonhole's `.svtest` files. A
 * test file runs against a world in memory: mailboxes, sent mail and settings that begin empty.
 */

import { compileScript } from "../compiler.ts";
import { runScript } from "../execute.ts";
import type { SieveProblem } from "../problem.ts";
import { compileOptions, type TestResult, testsuiteExtension } from "./extension.ts";
import { createWorld, defaultMessage, envelopeOf, type TestHost } from "./world.ts";
import type { Extension } from "../definition.ts";

export type { TestHost, TestResult };

/** What came of one file. */
export interface TestReport {
  readonly tests: readonly TestResult[];
  /** Why the file could not be compiled; empty if it could. */
  readonly problems: readonly SieveProblem[];
  /** An error outside of any test, which ended the file. */
  readonly error: string | undefined;
}

/** Runs the tests in the text of a file. */
export async function runTests(source: string, host: TestHost): Promise<TestReport> {
  const tests: TestResult[] = [];
  const extensions: Extension[] = [];
  const world = createWorld(host, extensions);
  extensions.push(testsuiteExtension(world, (result) => tests.push(result)));
  const { script, problems } = compileScript(source, compileOptions(world));
  if (script === undefined) {
    return { tests, problems: problems.filter(({ severity }) => severity === "error"), error: undefined };
  }
  const message = defaultMessage();
  const outcome = await runScript(script, { message, envelope: envelopeOf(message), host: world.sieveHost });
  const { error } = outcome;
  const place = error?.at === undefined ? "" : `line ${error.at.line}: `;
  return { tests, problems: [], error: error === undefined ? undefined : place + error.message };
}
