/** `foreverypart`, `break`, `:mime`, `extracttext` (RFC 5703 §3, §4, §7). */

import type { Extension, FieldSource, Step, TagDefinition } from "../definition.ts";
import {
  decodeHeaderText,
  fieldsNamed,
  type HeaderField,
  type MimePart,
  parseParameterized,
} from "../../message/mod.ts";
import { htmlText } from "../html_text.ts";
import { later } from "../later.ts";
import { afterBody, breakCommand, compileLoopBody, isInLoop } from "../loop.ts";
import { checkParts, faithfulText, mimeRoot, partsIn } from "../mime_tree.ts";
import { enterLoop, leaveLoop, loopDepth, nextPart, partOf } from "../part_loop.ts";
import { SieveLimitError, SieveRuntimeError } from "../problem.ts";
import { type Flow, NEXT, type Run, spend } from "../run.ts";
import { findVariable } from "../variable.ts";
import { MODIFIERS, modifiersOf } from "./variables.ts";

/** How deep loops may be nested, those of included scripts counted. */
const DEEPEST = 4;

/** Runs the body for each part; waits only where the body does. */
function forEach(body: Step, name: string): Step {
  return (run) => {
    if (loopDepth(run) >= DEEPEST) throw new SieveLimitError(`foreverypart is nested deeper than ${DEEPEST}`);
    enterLoop(run);
    const from = (): Flow | Promise<Flow> => {
      for (;;) {
        const more = nextPart(run);
        if (typeof more !== "boolean") return more.then((found) => found ? turn() : finish());
        if (!more) return finish();
        spend(run);
        const flow = body(run);
        if (typeof flow !== "number") return flow.then(after);
        const next = afterBody(run, flow, name);
        if (next !== "again") return end(next);
      }
    };
    const turn = (): Flow | Promise<Flow> => {
      spend(run);
      return later(body(run), after);
    };
    const after = (flow: Flow): Flow | Promise<Flow> => {
      const next = afterBody(run, flow, name);
      return next === "again" ? from() : end(next);
    };
    const finish = (): Flow => {
      checkParts(run);
      return end(NEXT);
    };
    const end = (flow: Flow): Flow => {
      leaveLoop(run);
      return flow;
    };
    return from();
  };
}

const foreverypart: Extension = {
  capability: "foreverypart",
  commands: [
    {
      name: "foreverypart",
      tags: [{ name: "name", value: { name: "name", type: "string", constant: true } }],
      block: true,
      compile(call, compiler) {
        const name = call.tag("name")?.text.literal ?? "";
        const body = compileLoopBody(call, compiler, name);
        return body === undefined ? undefined : forEach(body, name);
      },
    },
    breakCommand,
  ],
};

/** RFC 5703 §4: fields of the part that a loop is at, or of the message; with `:anychild` also of all parts inside. */
const MIME: TagDefinition = {
  name: "mime",
  fields(_use, call, _compiler, inner): FieldSource {
    const children = call.has("anychild");
    return (run, name) => {
      const part = partOf(run);
      if (!children) return part === undefined ? inner(run, name) : fieldsNamed(part.header, name);
      return later(part ?? mimeRoot(run), (top) => {
        const found: HeaderField[] = [];
        for (const each of partsIn(run, top)) found.push(...fieldsNamed(each.header, name));
        return found;
      });
    };
  },
};

function needsMime(name: string): NonNullable<TagDefinition["check"]> {
  return ({ at }, call, compiler) => {
    if (!call.has("mime")) compiler.error(at, `':${name}' of ${call.title} needs ':mime'`);
  };
}

const MEDIA_TYPE = /^([^\s/;]+)\/([^\s/;]+)$/;

/** RFC 5703 §4.1: a piece of a type, or of a disposition, which is a type without subtype; of other fields nothing. */
function piece(name: string, read: (type: string, subtype: string | undefined) => string): TagDefinition {
  return {
    name,
    group: "MIME option",
    check: needsMime(name),
    values: () => (field) => {
      const { lower } = field;
      if (lower !== "content-type" && lower !== "content-disposition") return [""];
      const { value } = parseParameterized(field.value());
      if (lower === "content-disposition") return value === "" ? [] : [read(value, undefined)];
      const [, type, subtype] = MEDIA_TYPE.exec(value) ?? [];
      // What cannot be read is not counted, and matches nothing.
      return type === undefined ? [] : [read(type, subtype)];
    },
  };
}

const PIECES: readonly TagDefinition[] = [
  piece("type", (type) => type),
  piece("subtype", (_type, subtype) => subtype ?? ""),
  piece("contenttype", (type, subtype) => subtype === undefined ? type : `${type}/${subtype}`),
  {
    name: "param",
    group: "MIME option",
    value: { name: "parameter names", type: "strings" },
    check: needsMime("param"),
    values: ({ texts }) => (field, run) => {
      const { parameters } = parseParameterized(field.value());
      // RFC 2047 forbids encoded words here, and many programs write them.
      return texts.read(run).flatMap((name) => {
        const value = parameters.get(name.toLowerCase());
        return value === undefined ? [] : [decodeHeaderText(value)];
      });
    },
  },
];

const mimeTests: Extension = {
  capability: "mime",
  tags: [
    { to: ["header", "address", "exists"], tag: MIME },
    { to: ["header", "address", "exists"], tag: { name: "anychild", check: needsMime("anychild") } },
    ...PIECES.map((tag) => ({ to: ["header"], tag })),
  ],
};

/** RFC 5703 §7: the text of a part; nothing of parts that are no text, or cannot be read. */
function textOf(run: Run, part: MimePart): string {
  const { value } = part.contentType;
  const isHtml = value === "text/html" || value === "application/xhtml+xml";
  if (!isHtml && !value.startsWith("text/")) return "";
  const text = faithfulText(run, part) ?? "";
  return isHtml ? htmlText(text) : text;
}

const extracttext: Extension = {
  capability: "extracttext",
  onRequire(at, compiler) {
    if (!compiler.enabled("foreverypart")) compiler.error(at, 'extracttext needs: require "foreverypart";');
    if (!compiler.enabled("variables")) compiler.error(at, 'extracttext needs: require "variables";');
  },
  commands: [{
    name: "extracttext",
    parameters: [{ name: "variable", type: "string", constant: true }],
    tags: [...MODIFIERS, { name: "first", value: { name: "number of characters", type: "number" } }],
    compile(call, compiler) {
      if (!isInLoop(compiler)) {
        compiler.error(call.at, "extracttext must stand inside foreverypart");
        return undefined;
      }
      const name = call.text("variable").literal ?? "";
      const variable = findVariable(name, call.position("variable"), compiler);
      if (variable === "none" || variable?.write === undefined) {
        if (variable !== undefined) {
          compiler.error(call.position("variable"), `'${name.slice(0, 80)}' is not the name of a variable to set`);
        }
        return undefined;
      }
      const write = variable.write;
      const modify = modifiersOf(call);
      const first = call.tag("first")?.number;
      return (run) => {
        const part = partOf(run);
        if (part === undefined) throw new SieveRuntimeError("extracttext is used outside of foreverypart", call.at);
        const text = textOf(run, part);
        spend(run, text.length >> 10, call.at);
        const wanted = first === undefined ? text : Array.from(text.slice(0, first * 2)).slice(0, first).join("");
        write(run, modify(wanted, run.limits.variableSize));
        return NEXT;
      };
    },
  }],
};

export const mime: readonly Extension[] = [foreverypart, mimeTests, extracttext];
