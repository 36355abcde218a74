/**
 * `convert` (RFC 6558). What can be converted without other programs: HTML to plain text and back, and plain text from
 * one charset to another. Everything else fails, which leaves a part as it is and makes the test false.
 */

import type { Call, Compiler, Extension } from "../definition.ts";
import { encodeTransfer, foldField, type MimePart } from "../../message/mod.ts";
import { crlfLines, type Entity, textEntity } from "../compose.ts";
import { htmlText, textHtml } from "../html_text.ts";
import { later } from "../later.ts";
import { sieveMessage } from "../message.ts";
import { hidesBoundary, withPart, withType } from "../mime_edit.ts";
import { faithfulText, mimeRoot, partsIn } from "../mime_tree.ts";
import { partAt, partReplaced, placeOf } from "../part_loop.ts";
import { type Flow, NEXT, type Run } from "../run.ts";
import { spendOnCopy } from "./replace.ts";

const TYPE = /^[^\s/;]+\/[^\s/;]+$/;
const HTML: ReadonlySet<string> = new Set(["text/html", "application/xhtml+xml"]);

/** What becomes of text. HTML may name its charset inside, so it is never brought into another one. */
const CHANGES: Readonly<Record<string, (text: string) => string>> = {
  "text/plain text/plain": (text) => text,
  "text/plain text/html": textHtml,
};

/** Charsets that text can be written in, with the largest code that has a place in them. */
const WRITTEN: Readonly<Record<string, number>> = { "us-ascii": 0x7f, "iso-8859-1": 0xff, "utf-8": 0x10ffff };

/** Parameters of a conversion (RFC 5259 §5): `name=value`. */
function readParameters(texts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(texts.map((text) => {
    const equals = text.indexOf("=");
    return [text.slice(0, Math.max(0, equals)).toLowerCase(), text.slice(equals + 1)] as const;
  }));
}

function convertText(text: string, type: string, parameters: ReadonlyMap<string, string>): Entity | undefined {
  const charset = parameters.get("charset")?.toLowerCase() ?? "utf-8";
  const highest = WRITTEN[charset];
  if (highest === undefined) return undefined;
  if (charset === "utf-8") return textEntity(text, type);
  const unknown = parameters.get("unknown-character-replacement") ?? "?";
  let written = "";
  for (const char of crlfLines(text)) written += (char.codePointAt(0) ?? 0) <= highest ? char : unknown;
  // The replacement itself may have no place there.
  const octets = Uint8Array.from(written, (char) => Math.min(char.charCodeAt(0), highest));
  const encoding = charset === "us-ascii" ? "quoted-printable" : "base64";
  return {
    fields: [
      foldField("Content-Type", `${type}; charset=${charset}`),
      foldField("Content-Transfer-Encoding", encoding),
    ],
    body: encodeTransfer(octets, encoding),
  };
}

/** The part in another type; undefined if it cannot be converted. */
function converted(
  run: Run,
  part: MimePart,
  to: string,
  parameters: ReadonlyMap<string, string>,
): Uint8Array | undefined {
  const from = part.contentType.value;
  const change = HTML.has(from) && to === "text/plain" ? htmlText : CHANGES[`${from} ${to}`];
  const text = change === undefined ? undefined : faithfulText(run, part);
  if (change === undefined || text === undefined) return undefined;
  const entity = convertText(change(text), to, parameters);
  if (entity === undefined) return undefined;
  const bytes = withType(part, entity);
  return hidesBoundary(part, bytes) ? undefined : withPart(part, bytes);
}

/** The places of all parts with a type. */
function placesOf(run: Run, root: MimePart, type: string): (readonly number[])[] {
  const places: (readonly number[])[] = [];
  for (const part of partsIn(run, root)) {
    if (part.contentType.value !== type) continue;
    const place: number[] = [];
    for (let at = part; at.parent !== undefined; at = at.parent) place.unshift(at.parent.children.indexOf(at));
    places.push(place);
  }
  return places;
}

/** Converts what is to be converted, all of it or nothing. @returns whether nothing failed */
function compileConvert(call: Call, compiler: Compiler): ((run: Run) => boolean | Promise<boolean>) | undefined {
  let wrong = false;
  for (const name of ["media type to convert from", "media type to convert to"]) {
    const { literal } = call.text(name);
    if (literal === undefined || TYPE.test(literal)) continue;
    compiler.error(call.position(name), `'${literal.slice(0, 80)}' is not a media type, such as "text/plain"`);
    wrong = true;
  }
  call.texts("conversion parameters").literal?.forEach((text, index) => {
    if (text === "" || /^[^=\s]+=/.test(text)) return;
    compiler.error(
      call.position("conversion parameters", index),
      `'${text.slice(0, 80)}' is not of the form name=value`,
    );
    wrong = true;
  });
  if (wrong) return undefined;
  const [from, to] = [call.text("media type to convert from"), call.text("media type to convert to")];
  const given = call.texts("conversion parameters");
  const convertAt = (run: Run, place: readonly number[]): boolean | Promise<boolean> =>
    later(mimeRoot(run), (root) => {
      const part = partAt(root, place);
      const bytes = part === undefined
        ? undefined
        : converted(run, part, to.read(run).toLowerCase(), readParameters(given.read(run)));
      if (bytes === undefined) return false;
      spendOnCopy(run);
      run.message = sieveMessage(bytes);
      return later(partReplaced(run, place), () => true);
    });
  return (run) =>
    later(mimeRoot(run), (root) => {
      const type = from.read(run).toLowerCase();
      const current = placeOf(run);
      // RFC 6558 §2: in a loop the part that it is at, else all.
      const places = current === undefined
        ? placesOf(run, root, type)
        : partAt(root, current)?.contentType.value === type
        ? [current]
        : [];
      const before = run.message;
      // RFC 6558 §2: what was converted before the one that fails is undone. A loop has one part at most to undo.
      const failed = (): false => {
        run.message = before;
        return false;
      };
      const rest = (start: number): boolean | Promise<boolean> => {
        for (let i = start; i < places.length; i++) {
          const done = convertAt(run, places[i] ?? []);
          if (typeof done !== "boolean") return done.then((success) => success ? rest(i + 1) : failed());
          if (!done) return failed();
        }
        return true;
      };
      return rest(0);
    });
}

const CONVERT = {
  name: "convert",
  parameters: [
    { name: "media type to convert from", type: "string" },
    { name: "media type to convert to", type: "string" },
    { name: "conversion parameters", type: "strings" },
  ],
} as const;

export const convert: readonly Extension[] = [{
  capability: "convert",
  commands: [{
    ...CONVERT,
    compile(call, compiler) {
      const convertAll = compileConvert(call, compiler);
      return convertAll === undefined ? undefined : (run) => later(convertAll(run), (): Flow => NEXT);
    },
  }],
  tests: [{ ...CONVERT, compile: compileConvert }],
}];
