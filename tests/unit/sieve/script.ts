/** Runs scripts against messages in memory. */

import assert from "node:assert/strict";
import {
  type CompileOptions,
  compileScript,
  formatProblem,
  type Outcome,
  runScript,
  type SieveHost,
  sieveMessage,
} from "../../../src/sieve/mod.ts";

export const MESSAGE = `From: Ann Author <ann@example.org>
To: bob@example.net, "Carol, C." <carol+list@Example.COM>
Cc: team: dan@example.net, eve@example.net;
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the sea
X-Score: 042

Hello.
`;

export interface RunOptions extends CompileOptions {
  readonly message?: string;
  readonly envelope?: Record<string, string | undefined>;
  readonly host?: Partial<SieveHost>;
}

/** What a script does with a message whose lines may end in LF. */
export async function run(source: string, options: RunOptions = {}): Promise<Outcome> {
  const { message = MESSAGE, envelope = { from: "ann@example.org", to: "bob@example.net" }, host, ...rest } = options;
  const { script, problems } = compileScript(source, rest);
  assert.ok(script, problems.map((problem) => formatProblem(problem, "script")).join("\n"));
  return await runScript(script, {
    message: sieveMessage(new TextEncoder().encode(message.replace(/\r?\n/g, "\r\n"))),
    envelope,
    host: { now: () => 0, ...host },
  });
}

/** Whether a test is true. `before` stands in front of it. */
export async function holds(test: string, options: RunOptions & { before?: string } = {}): Promise<boolean> {
  const { before = "", ...rest } = options;
  const outcome = await run(`${before}\nif ${test} { discard; }`, rest);
  assert.equal(outcome.error, undefined);
  return outcome.actions.some(({ kind }) => kind === "discard");
}

/** The errors of a script as `line:column: message`. */
export function errorsOf(source: string, options: CompileOptions = {}): string[] {
  return compileScript(source, options).problems
    .filter(({ severity }) => severity === "error")
    .map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

/** The actions of an outcome, in short. */
export function actionsOf(outcome: Outcome): string[] {
  const short = outcome.actions.map((action) => {
    if (action.kind === "store") return `store ${action.mailbox}`;
    if (action.kind === "redirect") return `redirect ${action.address}`;
    return action.kind === "reject" ? `reject ${action.text}` : action.kind;
  });
  return outcome.implicitKeep === undefined ? short : [...short, "implicit keep"];
}
