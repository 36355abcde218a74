/** `godwit sieve run`: what a script would do with a message. Nothing is delivered, and nothing is asked of the network. */

import type { Command } from "commander";
import { reasonOf } from "../config/mod.ts";
import {
  type Action,
  type CompiledScript,
  compileScript,
  DEFAULT_ADDRESS_BOOK,
  ENVELOPE_PARTS,
  formatProblem,
  listName,
  messageBytes,
  type Outcome,
  runScript,
  SERVER_NAMESPACES,
  type SieveHost,
  type SieveMessage,
  sieveMessage,
} from "../sieve/mod.ts";
import { type Output, printable } from "./output.ts";
import { readBeside, readScript } from "./sieve_file.ts";

interface RunOptions {
  readonly message: string;
  readonly envelope?: readonly string[];
  readonly env?: readonly string[];
  readonly list?: readonly string[];
  readonly time?: string;
  readonly capabilityCheck: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

/** Adds the command to `sieve`. */
export function addRunCommand(
  sieve: Command,
  output: Output,
  ending: (action: Promise<number>) => Promise<void>,
): void {
  const collect = (value: string, before: readonly string[] = []) => [...before, value];
  sieve.command("run")
    .description("run a script on a message and print what it would do")
    .argument("<file>")
    .requiredOption("--message <file>", "the message, as in a .eml file")
    .option("--envelope <name=value>", "part of the envelope: from, to, notify, ret, ...; repeat", collect)
    .option("--env <name=value>", "item of the environment, or variable env.<name>; repeat", collect)
    .option("--list <name=value>", "value that is in an external list; repeat", collect)
    .option("--time <time>", "what the script takes for now, such as 2026-12-31T22:00:00Z")
    .option("--no-capability-check", "extensions work without require, as in scripts of the configuration")
    .option("--output <file>", "write the message as the script leaves it")
    .option("--json", "print JSON")
    .action((file: string, options: RunOptions) => ending(runFile(file, options, output)));
}

/** @returns 0 if the script ran to its end, 1 if not, 2 for a wrong command line */
async function runFile(file: string, options: RunOptions, output: Output): Promise<number> {
  const now = options.time === undefined ? Date.now() : Date.parse(options.time);
  if (Number.isNaN(now)) output.error(`--time: ${printable(options.time ?? "")} is not a time`);
  const envelope = readEnvelope(options.envelope ?? [], output);
  const env = readPairs("--env", options.env ?? [], output);
  const lists = readPairs("--list", options.list ?? [], output);
  if (Number.isNaN(now) || envelope === undefined || env === undefined || lists === undefined) return 2;
  const source = await readScript(file, output);
  const message = await readMessage(options.message, output);
  if (source === undefined || message === undefined) return 1;
  const { script, problems } = compileScript(source, {
    name: file,
    noCapabilityCheck: !options.capabilityCheck,
    namespaces: SERVER_NAMESPACES,
    loadScript: (_location, name) => readBeside(file, `${name}.sieve`),
  });
  if (script === undefined) {
    for (const problem of problems) output.error(printable(formatProblem(problem, file)));
    return 1;
  }
  const log: string[] = [];
  const outcome = await tryRun(script, message, Object.fromEntries(envelope), hostOf(now, env, lists, log));
  if (typeof outcome === "string") {
    output.error(printable(`${file}: ${outcome}`));
    return 1;
  }
  if (options.output !== undefined) await Deno.writeFile(options.output, await messageBytes(outcome.message));
  if (options.json === true) output.print(JSON.stringify(await jsonOf(outcome, message, log), undefined, 2));
  else for (const line of linesOf(outcome, message, log)) output.print(printable(line));
  return outcome.error === undefined ? 0 : 1;
}

/** The outcome, or why there is none: what a script asks of the world outside can fail. */
async function tryRun(
  script: CompiledScript,
  message: SieveMessage,
  envelope: Record<string, string>,
  host: SieveHost,
): Promise<Outcome | string> {
  try {
    return await runScript(script, { message, envelope, host });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function readMessage(file: string, output: Output): Promise<SieveMessage | undefined> {
  try {
    return sieveMessage(wireForm(await Deno.readFile(file)));
  } catch (error) {
    output.error(`${printable(file)}: ${reasonOf(error)}`);
    return undefined;
  }
}

const LF = 0x0a;
const CR = 0x0d;

/** Files end their lines with LF, messages on their way with CRLF. */
function wireForm(bytes: Uint8Array): Uint8Array {
  let lone = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === LF && bytes[i - 1] !== CR) lone++;
  if (lone === 0) return bytes;
  const out = new Uint8Array(bytes.length + lone);
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    const octet = bytes[i] ?? 0;
    if (octet === LF && bytes[i - 1] !== CR) out[at++] = CR;
    out[at++] = octet;
  }
  return out;
}

/** `name=value`, any number of them; undefined, told, if one is not of that form. */
function readPairs(
  option: string,
  texts: readonly string[],
  output: Output,
): readonly (readonly [name: string, value: string])[] | undefined {
  const wrong = texts.find((text) => text.indexOf("=") < 1);
  if (wrong !== undefined) output.error(`${option}: expected name=value, found ${JSON.stringify(wrong)}`);
  return wrong !== undefined ? undefined : texts.map((text) => {
    const equals = text.indexOf("=");
    return [text.slice(0, equals).toLowerCase(), text.slice(equals + 1)] as const;
  });
}

/** Parts of the envelope; undefined, told, if there is no such part. */
function readEnvelope(texts: readonly string[], output: Output): Pairs | undefined {
  const pairs = readPairs("--envelope", texts, output);
  const unknown = pairs?.find(([name]) => !ENVELOPE_PARTS.includes(name))?.[0];
  if (unknown === undefined) return pairs;
  output.error(`--envelope: there is no part ${JSON.stringify(unknown)}; there are ${ENVELOPE_PARTS.join(", ")}`);
  return undefined;
}

type Pairs = readonly (readonly [string, string])[];

function hostOf(now: number, env: Pairs, lists: Pairs, log: string[]): SieveHost {
  const items = new Map(env);
  let ids = 0;
  const membersOf = (list: string) =>
    lists.flatMap(([name, each]) => listName(name).toLowerCase() === list.toLowerCase() ? [each] : []);
  return {
    now: () => now,
    zoneOffset: (time) => -new Date(time).getTimezoneOffset(),
    environment: (item) => items.get(item),
    inList: (list, value) => membersOf(list).includes(value),
    listExists: (list) => list === DEFAULT_ADDRESS_BOOK || membersOf(list).length > 0,
    listMembers: (list) => membersOf(list).length === 0 ? undefined : membersOf(list),
    messageId: () => `${++ids}.${now}@localhost`,
    log: (text) => void log.push(text),
  };
}

/** An action in one line. */
function describe(action: Action): string {
  const quoted = (text: string) => JSON.stringify(text);
  const flags = "flags" in action && action.flags !== undefined
    ? ` with flags ${action.flags.join(" ") || "none"}`
    : "";
  const fcc = "fcc" in action ? action.fcc : undefined;
  const copy = fcc === undefined ? "" : `, a copy is filed into ${quoted(fcc.mailbox)}`;
  switch (action.kind) {
    case "keep":
    case "discard":
      return `${action.kind}${flags}`;
    case "store":
      return `fileinto ${quoted(action.mailbox)}${flags}${action.create === true ? ", created if missing" : ""}`;
    case "redirect":
      return `redirect to ${action.address}`;
    case "reject":
      return `${action.protocol ? "ereject" : "reject"} ${quoted(action.text)}`;
    case "vacation":
      return action.mail === undefined
        ? "vacation, but no reply is due"
        : `vacation reply to ${action.mail.to.join(", ")}${copy}`;
    case "notify":
      return action.mail === undefined
        ? `notify ${quoted(action.method)}, but nobody is to be told`
        : `notify ${quoted(action.method)}${copy}`;
  }
}

function* linesOf(
  { actions, implicitKeep, error, ...outcome }: Outcome,
  message: SieveMessage,
  log: readonly string[],
) {
  for (const text of log) yield `log: ${text}`;
  for (const action of actions) yield describe(action);
  if (implicitKeep !== undefined) yield `implicit ${describe(implicitKeep)}`;
  if (outcome.message !== message) {
    yield `message changed: ${message.size} octets before, ${outcome.message.size} after`;
  }
  if (error !== undefined) {
    const script = error.script === undefined ? "" : `script ${error.script}, `;
    const place = error.at === undefined ? "" : `${script}line ${error.at.line}, column ${error.at.column}: `;
    yield `error: ${place}${error.message}`;
  }
}

async function jsonOf(outcome: Outcome, message: SieveMessage, log: readonly string[]): Promise<unknown> {
  const plain = async ({ message: acted, ...action }: Action) => ({
    ...action,
    // What it acts on differs from what came in.
    ...(acted === message ? {} : { message: new TextDecoder().decode(await messageBytes(acted)) }),
    ...("mail" in action && action.mail !== undefined
      ? { mail: { ...action.mail, bytes: undefined, content: new TextDecoder().decode(action.mail.bytes) } }
      : {}),
  });
  return {
    actions: await Promise.all(outcome.actions.map(plain)),
    implicitKeep: outcome.implicitKeep === undefined ? null : await plain(outcome.implicitKeep),
    envelope: outcome.envelope,
    changed: outcome.message !== message,
    error: outcome.error ?? null,
    log,
    instructions: outcome.instructions,
  };
}
