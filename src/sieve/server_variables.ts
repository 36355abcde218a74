/**
 * The variables that scripts of a mail server have: `env.*`, which tell of the session, and `envelope.*`, which can also
 * be set. Their values live with the host and in the envelope of a run.
 */

import type { Namespace } from "./definition.ts";
import type { Envelope } from "./run.ts";
import { suggestion, type Value } from "../expression/mod.ts";
import { asAddress } from "../smtp/mod.ts";
import { variableText } from "./variable.ts";

/** Names behind `env.`; the host answers for them by `environment`. */
export const ENVIRONMENT_VARIABLES = [
  "stage",
  "now",
  "remote_ip",
  "remote_ip.reverse",
  "helo_domain",
  "authenticated_as",
  "from",
  "spf.result",
  "spf_ehlo.result",
  "dkim",
  "dkim.domains",
  "arc.result",
  "dmarc.result",
  "dmarc.policy",
  "iprev.result",
  "iprev.ptr",
  "tls.version",
  "tls.cipher",
  "param.body",
  "param.smtputf8",
  "param.requiretls",
] as const;

/** One of {@link ENVIRONMENT_VARIABLES}. */
export type EnvironmentVariable = typeof ENVIRONMENT_VARIABLES[number];

/** `env.dkim.domains` has any number of names; the host gives them with blanks between. */
const LISTS: ReadonlySet<string> = new Set(["dkim.domains"]);

const env: Namespace = {
  problem: (name) => unknownName("env", name, ENVIRONMENT_VARIABLES),
  read(run, name) {
    const value = run.host.environment?.(name) ?? "";
    return LISTS.has(name) ? value.split(" ").filter((each) => each !== "") : value;
  },
};

/** Reads what a script sets into the form in which the envelope has it; undefined if it cannot be that. */
type Reading = (text: string) => string | undefined;

const isEmpty: Reading = (text) => text === "" ? "" : undefined;
const address: Reading = (text) => asAddress(text);

function oneOf(...words: readonly string[]): Reading {
  return (text) => words.find((word) => word === text.toUpperCase());
}

/** RFC 3461 §4.1: NEVER alone, or any of the others. */
const notify: Reading = (text) => {
  const words = text.toUpperCase().split(",").map((word) => word.trim());
  if (words.length === 1 && words[0] === "NEVER") return "NEVER";
  const known = ["SUCCESS", "FAILURE", "DELAY"].filter((word) => words.includes(word));
  return known.length === words.length ? known.join(",") : undefined;
};

/** RFC 3461 §4.2: address type, semicolon, address. */
const originalRecipient: Reading = (text) => /^[A-Za-z0-9-]{1,64};[^\p{Cc}]{1,500}$/u.test(text) ? text : undefined;

/** RFC 3461 §4.4: at most a hundred characters, all printable. */
const identifier: Reading = (text) => /^[ -~]{1,100}$/.test(text) ? text : undefined;

/** RFC 2852 §4: seconds, of at most nine digits. */
const seconds: Reading = (text) => /^[+-]?\d{1,9}$/.test(text) ? String(Number(text)) : undefined;

/** RFC 3339, or seconds since the epoch. */
const moment: Reading = (text) => {
  const time = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : /^\d{4}-\d\d-\d\dT/i.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
};

const mode: Reading = (text) => /^(?:n|notify)$/i.test(text) ? "N" : /^(?:r|return)$/i.test(text) ? "R" : undefined;
const trace: Reading = (text) =>
  /^(?:t|true|1)$/i.test(text) ? "true" : /^(?:false|0)$/i.test(text) ? "false" : undefined;

/** What each variable takes. The empty text takes the value away, of `from` it makes the null sender. */
const ENVELOPE: Readonly<Record<string, Reading>> = {
  from: (text) => isEmpty(text) ?? address(text),
  to: address,
  notify: (text) => isEmpty(text) ?? notify(text),
  orcpt: (text) => isEmpty(text) ?? originalRecipient(text),
  ret: (text) => isEmpty(text) ?? oneOf("FULL", "HDRS")(text),
  envid: (text) => isEmpty(text) ?? identifier(text),
  by_time_absolute: (text) => isEmpty(text) ?? moment(text),
  by_time_relative: (text) => isEmpty(text) ?? seconds(text),
  by_mode: (text) => isEmpty(text) ?? mode(text),
  by_trace: (text) => isEmpty(text) ?? trace(text),
};

/** Parts of the envelope that runs know: those that scripts can set, and who is logged in. */
export const ENVELOPE_PARTS: readonly string[] = [...Object.keys(ENVELOPE), "auth"];

const envelope: Namespace = {
  problem: (name) => unknownName("envelope", name, Object.keys(ENVELOPE)),
  read: (run, name) => run.envelope[name] ?? "",
  write: (run, name, value) => writeEnvelope(run.envelope, name, value),
};

function writeEnvelope(into: Envelope, name: string, value: Value): boolean {
  const read = ENVELOPE[name]?.(variableText(value).trim());
  if (read === undefined) return false;
  into[name] = read;
  return true;
}

function unknownName(space: string, name: string, known: readonly string[]): string | undefined {
  if (known.includes(name)) return undefined;
  return `there is no variable '${space}.${name.slice(0, 64)}'${suggestion(name, known)}`;
}

/** For `CompileOptions.namespaces`. */
export const SERVER_NAMESPACES: Readonly<Record<string, Namespace>> = { env, envelope };
