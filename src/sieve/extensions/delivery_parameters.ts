/** Parameters of RFC 3461 and RFC 2852 in the envelope, and for what is redirected (RFC 6009). */

import type { Call, Compiler, EnvelopePart, Extension, TagDefinition } from "../definition.ts";
import type { RedirectAction } from "../actions.ts";
import { zoneOffset } from "../../message/mod.ts";
import { SieveRuntimeError } from "../problem.ts";
import type { Run } from "../run.ts";
import { iso8601, isOffset, ZONE } from "./date.ts";

const plain = (read: EnvelopePart["read"]): EnvelopePart => ({ address: false, read });

/** RFC 6009 §3: each word of NOTIFY is a value of its own, so that they can be counted. */
const DSN_PARTS: Readonly<Record<string, EnvelopePart>> = {
  notify: plain(({ envelope: { notify } }) =>
    notify?.split(",").flatMap((word) => word.trim() === "" ? [] : [word.trim().toUpperCase()])
  ),
  orcpt: plain(({ envelope: { orcpt } }) => given(orcpt)),
  ret: plain(({ envelope: { ret } }) => given(ret)?.toUpperCase()),
  envid: plain(({ envelope: { envid } }) => given(envid)),
};

/** A script takes a parameter away by setting it to nothing. */
function given(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** A time in the envelope: seconds since 1970, or as RFC 3339 writes it. */
function readTime(text: string): number | undefined {
  const time = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(time) && Math.abs(time) < 8e15 ? time : undefined;
}

function absoluteTime(run: Run, call: Call): string | undefined {
  const time = readTime(run.envelope.by_time_absolute ?? "");
  if (time === undefined) return undefined;
  const zone = call.tag("zone")?.text.read(run);
  if (zone !== undefined && !isOffset(zone)) {
    throw new SieveRuntimeError(`'${zone.slice(0, 80)}' is not a time zone`, call.at);
  }
  return iso8601(time, zone === undefined ? run.host.zoneOffset?.(time) ?? 0 : zoneOffset(zone) ?? 0);
}

/** RFC 6009 §5. Modes and trace have the words that the tags of `redirect` have. */
const DELIVERBY_PARTS: Readonly<Record<string, EnvelopePart>> = {
  bytimeabsolute: plain(absoluteTime),
  bytimerelative: plain(({ envelope }) => given(envelope.by_time_relative)),
  bymode: plain(({ envelope }) => modeOf(envelope.by_mode ?? "")),
  // Without trace it is the empty text, without a deadline nothing.
  bytrace: plain(({ envelope }) =>
    modeOf(envelope.by_mode ?? "") === undefined ? undefined : envelope.by_trace === "true" ? "trace" : ""
  ),
};

function modeOf(word: string): "notify" | "return" | undefined {
  const lower = word.toLowerCase();
  if (lower === "n" || lower === "notify") return "notify";
  return lower === "r" || lower === "return" ? "return" : undefined;
}

/** RFC 3461 §4.1: NEVER alone, or some of the others. */
function notifyWords(text: string): string | undefined {
  const words = text.toUpperCase().split(",").map((word) => word.trim());
  const good = words.length === 1 && words[0] === "NEVER" ||
    words.every((word, index) => ["SUCCESS", "FAILURE", "DELAY"].includes(word) && words.indexOf(word) === index);
  return good ? words.join(",") : undefined;
}

function retWord(text: string): string | undefined {
  const word = text.toUpperCase();
  return word === "FULL" || word === "HDRS" ? word : undefined;
}

/** RFC 6009 §6: a date and time as `iso8601` of RFC 5260 has it. */
function absolute(text: string): number | undefined {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)$/i.test(text)
    ? readTime(text.replace(/([+-]\d\d)(\d\d)$/, "$1:$2"))
    : undefined;
}

/** A tag of `redirect` whose text has to be read: at once where it is fixed, else in each run. */
function redirectTag<T>(
  name: string,
  wanted: string,
  read: (text: string) => T | undefined,
  put: (action: RedirectAction, value: T, run: Run, call: Call) => void,
): TagDefinition {
  const problem = (text: string) => `'${text.slice(0, 80)}' cannot follow ':${name}' of redirect; it takes ${wanted}`;
  return {
    name,
    ...(name.startsWith("bytime") ? { group: "time limit" } : {}),
    value: { name: `value of :${name}`, type: "string" },
    check({ text, valueAt }, _call, compiler: Compiler) {
      const { literal } = text;
      if (literal !== undefined && read(literal) === undefined) compiler.error(valueAt, problem(literal));
    },
    onAction: ({ text }, call) => (run, action) => {
      const given = text.read(run);
      const value = read(given);
      if (value === undefined) throw new SieveRuntimeError(problem(given), call.at);
      if (action.kind === "redirect") put(action, value, run, call);
    },
  };
}

const onRedirect = (tag: TagDefinition) => ({ to: ["redirect"], tag });

/** What is the same for both ways to say when. */
function by(call: Call, run: Run): Pick<NonNullable<RedirectAction["by"]>, "mode" | "trace"> {
  const text = call.tag("bymode")?.text.read(run);
  return { mode: modeOf(text ?? "") ?? "return", trace: call.has("bytrace") };
}

function needsTime(name: string): NonNullable<TagDefinition["check"]> {
  return ({ at }, call, compiler) => {
    if (call.inGroup("time limit") === undefined) {
      compiler.error(at, `':${name}' of redirect needs ':bytimerelative' or ':bytimeabsolute'`);
    }
  };
}

const MODE = redirectTag("bymode", '"notify" or "return"', modeOf, () => {});

export const deliveryParameters: readonly Extension[] = [
  { capability: "envelope-dsn", envelopeParts: DSN_PARTS },
  {
    capability: "envelope-deliverby",
    envelopeParts: DELIVERBY_PARTS,
    tags: [{ to: ["envelope"], tag: ZONE }],
  },
  {
    capability: "redirect-dsn",
    tags: [
      onRedirect(redirectTag(
        "notify",
        '"NEVER", or some of "SUCCESS,FAILURE,DELAY"',
        notifyWords,
        (action, words) => void (action.notify = words),
      )),
      onRedirect(redirectTag("ret", '"FULL" or "HDRS"', retWord, (action, word) => void (action.ret = word))),
    ],
  },
  {
    capability: "redirect-deliverby",
    tags: [
      onRedirect(redirectTag(
        "bytimeabsolute",
        'a time like "2026-12-31T22:00:00+01:00"',
        absolute,
        (action, time, run, call) => {
          const seconds = Math.floor((time - run.host.now()) / 1000);
          action.by = { seconds, absolute: new Date(time).toISOString(), ...by(call, run) };
        },
      )),
      onRedirect({
        name: "bytimerelative",
        group: "time limit",
        value: { name: "seconds", type: "number" },
        onAction: ({ number }, call) => (run, action) => {
          if (action.kind === "redirect") action.by = { seconds: number, ...by(call, run) };
        },
      }),
      onRedirect({
        ...MODE,
        check(use, call, compiler) {
          MODE.check?.(use, call, compiler);
          needsTime("bymode")(use, call, compiler);
        },
      }),
      onRedirect({ name: "bytrace", check: needsTime("bytrace") }),
    ],
  },
];
