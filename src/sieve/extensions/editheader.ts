/** `addheader` and `deleteheader` (RFC 5293). */

import type { CommandDefinition, Extension, TagDefinition } from "../definition.ts";
import { editHeader, encodeHeaderText, foldField, type HeaderEditor, isFieldName } from "../../message/mod.ts";
import { later } from "../later.ts";
import { withHead } from "../message.ts";
import { SieveRuntimeError } from "../problem.ts";
import { NEXT, type Run, spend } from "../run.ts";

/** Longest field that may be added, in octets; RFC 5293 §4 asks for 998 characters in a line. */
const USUAL_SIZE = 2048;

/** RFC 5293 §6: trace and what keeps automatic mail from looping stay; RFC 5703 §5: and what `replace` has put aside. */
const KEPT: ReadonlySet<string> = new Set(["received", "auto-submitted", "original-subject", "original-from"]);

function nameProblem(name: string): string | undefined {
  return isFieldName(name) ? undefined : `the field name ${JSON.stringify(name.slice(0, 80))} is invalid`;
}

function valueProblem(value: string, mostOctets: number): string | undefined {
  if (value.includes("\0")) return "the field value is invalid: it holds a NUL character";
  return value.length > mostOctets ? `the field value is larger than ${mostOctets} octets` : undefined;
}

/** RFC 5322 §3.2.5: what a script's author writes must be text. In what a variable brings, `?` stands in its place. */
function controlProblem(value: string): string | undefined {
  return /[^\P{Cc}\t\r\n]/u.test(value)
    ? `the field value ${JSON.stringify(value.slice(0, 80))} is invalid: it holds a control character`
    : undefined;
}

/** Whether the settings forbid to add or delete a field; the subject is always free (RFC 5293 §6). */
function isForbidden(settings: ReadonlyMap<string, string>, name: string, what: "add" | "delete"): boolean {
  const lower = name.toLowerCase();
  if (lower === "subject") return false;
  if (what === "delete" && KEPT.has(lower)) return true;
  const listed = settings.get("sieve_editheader_header")?.split(" ") ?? [];
  return listed.some((each) =>
    (settings.get(`sieve_editheader_header/${each}/name`) ?? each).toLowerCase() === lower &&
    settings.get(`sieve_editheader_header/${each}/forbid_${what}`) === "yes"
  );
}

function mostOctets(setting: string | undefined): number {
  const [, digits, unit = ""] = /^(\d+)\s*([kmg]?)/i.exec(setting ?? "") ?? [];
  if (digits === undefined) return USUAL_SIZE;
  return Number(digits) * 1024 ** (unit === "" ? 0 : "kmg".indexOf(unit.toLowerCase()) + 1);
}

/** All fields are copied, and read again: many of them cost more. */
function edit(run: Run): HeaderEditor {
  const { head, header } = run.message;
  spend(run, header.fields.length >> 6);
  return editHeader(head, header);
}

const addheader: CommandDefinition = {
  name: "addheader",
  parameters: [{ name: "field name", type: "string" }, { name: "value", type: "string" }],
  tags: [{ name: "last" }],
  compile(call, compiler) {
    const name = call.text("field name");
    const value = call.text("value");
    const last = call.has("last");
    const limit = mostOctets(compiler.setting("sieve_editheader_max_header_size"));
    const wrongName = name.literal === undefined ? undefined : nameProblem(name.literal);
    const wrongValue = value.literal === undefined
      ? undefined
      : controlProblem(value.literal) ?? valueProblem(value.literal, limit);
    if (wrongName !== undefined) compiler.error(call.position("field name"), wrongName);
    if (wrongValue !== undefined) compiler.error(call.position("value"), wrongValue);
    return (run) => {
      const [field, content] = [name.read(run), value.read(run)];
      const problem = nameProblem(field) ?? valueProblem(content, limit);
      if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
      if (isForbidden(run.settings, field, "add")) return NEXT;
      // RFC 5293 §4: the value is trimmed on the left; what is not ASCII is encoded (RFC 2047).
      const text = content.replace(/^\s+/, "");
      const editor = edit(run);
      const bytes = foldField(field, /^[\t\r\n -~]*$/.test(text) ? text : encodeHeaderText(text));
      if (last) editor.append(bytes);
      else editor.prepend(bytes);
      run.message = withHead(run.message, editor.result());
      return NEXT;
    };
  },
};

const LAST: TagDefinition = {
  name: "last",
  check({ at }, call, compiler) {
    if (!call.has("index")) {
      compiler.error(at, `the :last tag of ${call.title} cannot be specified without the :index tag`);
    }
  },
};

const INDEX: TagDefinition = {
  name: "index",
  value: { name: "field number", type: "number" },
  check({ number, valueAt }, _call, compiler) {
    if (number < 1) compiler.error(valueAt, "fields are counted from 1");
  },
};

const deleteheader: CommandDefinition = {
  name: "deleteheader",
  parameters: [{ name: "field name", type: "string" }, { name: "value patterns", type: "strings", optional: true }],
  tags: [INDEX, LAST],
  tagSets: ["Match"],
  compile(call, compiler) {
    const name = call.text("field name");
    const wrong = name.literal === undefined ? undefined : nameProblem(name.literal);
    if (wrong !== undefined && !(call.has("last") && !call.has("index"))) {
      compiler.error(call.position("field name"), wrong);
    }
    const matcher = call.given("value patterns") ? compiler.matcher(call, "value patterns") : () => true;
    if (matcher === undefined) return undefined;
    const index = call.tag("index")?.number;
    const last = call.has("last");
    const remove = async (run: Run, field: string): Promise<number[]> => {
      const lower = field.toLowerCase();
      const fields = run.message.header.fields.filter((each) => each.lower === lower);
      const chosen = index === undefined ? fields.keys() : [last ? fields.length - index : index - 1];
      const places: number[] = [];
      for (const place of chosen) {
        const value = fields[place]?.text().trim();
        if (value === undefined) continue;
        spend(run, 1, call.at);
        const before = run.matchValues;
        if (await matcher(run, [value])) places.push(place);
        run.matchValues = before;
      }
      return places;
    };
    return (run) => {
      const field = name.read(run);
      const problem = nameProblem(field);
      if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
      if (isForbidden(run.settings, field, "delete")) return NEXT;
      return later(remove(run, field), (places) => {
        const editor = edit(run);
        // From the end, so that the places before stay what they are.
        for (const place of places.reverse()) editor.delete(field, place);
        if (editor.changed) run.message = withHead(run.message, editor.result());
        return NEXT;
      });
    };
  },
};

export const editheader: readonly Extension[] = [{ capability: "editheader", commands: [addheader, deleteheader] }];
