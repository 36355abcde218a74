/** What a hook answers: the JSON of a response, checked and read. */

import * as v from "valibot";
import {
  type EsmtpParameter,
  EVERYTHING_OFFERED,
  readMailParameters,
  readRcptParameters,
  type Reply,
  reply,
} from "../../smtp/mod.ts";
import type { FilteredTransaction, Modification } from "../filter.ts";
import { octetsOf } from "./text.ts";

/** A response that can be acted on. */
export interface HookResponse {
  readonly action: "accept" | "discard" | "reject" | "quarantine";
  /** What the client hears if it is refused. */
  readonly reply: Reply;
  readonly disconnect: boolean;
  readonly modifications: readonly Modification[];
  /** Parameters that cannot be read; they were left out. */
  readonly problems: readonly string[];
}

/** Most modifications of one response. */
const MOST_MODIFICATIONS = 10_000;
/** RFC 5322 §2.1.1: longest line of a header. */
const LONGEST_LINE = 998;

const parameters = v.nullish(v.record(v.string(), v.nullish(v.union([v.string(), v.number(), v.boolean()]))));
const index = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0x7fffffff));
const text = v.string();

const modification = v.variant("type", [
  v.object({ type: v.literal("changeFrom"), value: text, parameters }),
  v.object({ type: v.picklist(["addRecipient", "addRcpt"]), value: text, parameters }),
  v.object({ type: v.picklist(["deleteRecipient", "deleteRcpt"]), value: text }),
  v.object({ type: v.literal("replaceContents"), value: text }),
  v.object({ type: v.literal("addHeader"), name: text, value: text }),
  v.object({ type: v.literal("insertHeader"), index, name: text, value: text }),
  v.object({ type: v.literal("changeHeader"), index, name: text, value: text }),
  v.object({ type: v.literal("deleteHeader"), index, name: text }),
]);

const schema = v.object({
  action: v.picklist(["accept", "discard", "reject", "quarantine"]),
  response: v.nullish(v.object({
    status: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(200), v.maxValue(599))),
    enhancedStatus: v.nullish(v.pipe(v.string(), v.regex(/^(?:[245]\.\d{1,3}\.\d{1,3})?$/))),
    message: v.nullish(v.string()),
    disconnect: v.nullish(v.boolean()),
  })),
  modifications: v.nullish(v.pipe(v.array(modification), v.maxLength(MOST_MODIFICATIONS))),
});

type Wanted = v.InferOutput<typeof modification>;

/** Reads a response; gives what is wrong with it if it cannot be acted on. */
export function readResponse(body: Uint8Array, transaction: FilteredTransaction | undefined): HookResponse | string {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(body));
  } catch (error) {
    return `its answer is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const path = issue.path?.map(({ key }) => String(key)).join(".") ?? "";
    return `its answer is none of the format${path === "" ? "" : `, at ${path}`}: ${issue.message}`;
  }
  const { action, response, modifications } = parsed.output;
  const refusal = refusalOf(response);
  if (action === "reject" && refusal.code < 400) return `it rejects with the status ${refusal.code}`;
  const problems: string[] = [];
  return {
    action,
    reply: refusal,
    disconnect: response?.disconnect === true,
    modifications: (modifications ?? []).map((wanted) => modificationOf(wanted, transaction, problems)),
    problems,
  };
}

function refusalOf(response: v.InferOutput<typeof schema>["response"]): Reply {
  const code = response?.status ?? 550;
  const said = response?.enhancedStatus ?? "";
  // RFC 2034 §4: the class of both codes is the same.
  const enhanced = said[0] === String(code)[0] ? said : code >= 500 ? "5.7.1" : "4.7.1";
  const lines = (response?.message ?? "").split(/\r?\n/).filter((line) => line !== "");
  return reply(code, enhanced, ...(lines.length === 0 ? ["Refused by a filter"] : lines));
}

function modificationOf(
  wanted: Wanted,
  transaction: FilteredTransaction | undefined,
  problems: string[],
): Modification {
  switch (wanted.type) {
    case "changeFrom": {
      const address = bare(wanted.value);
      const given = parametersOf(wanted.parameters);
      if (given.length === 0) return { kind: "sender", address };
      const read = readMailParameters(given, EVERYTHING_OFFERED);
      if (read.kind === "parameters") {
        return { kind: "sender", address, parameters: { ...transaction?.parameters, ...read.parameters } };
      }
      problems.push(badParameters(wanted.parameters));
      return { kind: "sender", address };
    }
    case "addRecipient":
    case "addRcpt": {
      const read = readRcptParameters(parametersOf(wanted.parameters), EVERYTHING_OFFERED);
      if (read.kind === "error") problems.push(badParameters(wanted.parameters));
      const parameters = read.kind === "error" ? {} : read.parameters;
      return { kind: "add-recipient", address: bare(wanted.value), parameters };
    }
    case "deleteRecipient":
    case "deleteRcpt":
      return { kind: "delete-recipient", address: bare(wanted.value) };
    case "replaceContents":
      return { kind: "replace-body", body: octetsOf(wanted.value) };
    case "addHeader":
      return { kind: "add-field", name: wanted.name, value: valueOf(wanted.value) };
    case "insertHeader":
      return { kind: "add-field", name: wanted.name, position: wanted.index, value: valueOf(wanted.value) };
    case "changeHeader": {
      const { name, value } = wanted;
      return { kind: "change-field", name, nth: nth(wanted.index), value: valueOf(value) };
    }
    case "deleteHeader":
      return { kind: "change-field", name: wanted.name, nth: nth(wanted.index) };
  }
}

/** Fields are counted from 1, as milters do; 0 is the first one, too. */
function nth(index: number): number {
  return Math.max(1, index) - 1;
}

/** A value as the hook wrote it; it is folded only where a line is longer than any may be. */
function valueOf(value: string): string | Uint8Array {
  const octets = octetsOf(` ${value}`);
  if (value.length < LONGEST_LINE / 3) return octets;
  let start = 0;
  for (let end = octets.indexOf(0x0a); end >= 0; end = octets.indexOf(0x0a, start)) {
    if (end - start > LONGEST_LINE) return value;
    start = end + 1;
  }
  return octets.length - start > LONGEST_LINE - 80 ? value : octets;
}

function bare(address: string): string {
  return address.trim().replace(/^<(.*)>$/s, "$1");
}

function parametersOf(given: v.InferOutput<typeof parameters>): readonly EsmtpParameter[] {
  return Object.entries(given ?? {}).filter(([, value]) => value !== false).map(([name, value]) => ({
    keyword: name.toUpperCase(),
    value: value === null || value === undefined || value === true ? undefined : String(value),
  }));
}

function badParameters(given: unknown): string {
  return `parameters that cannot be used: ${JSON.stringify(given).slice(0, 256)}`;
}
