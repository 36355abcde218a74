/** `body` (RFC 5173). */

import type { Extension } from "../definition.ts";
import { decodeText, type MimePart } from "../../message/mod.ts";
import { htmlText } from "../html_text.ts";
import { later } from "../later.ts";
import { mimeRoot, partsIn, partText } from "../mime_tree.ts";
import { type Run, spend } from "../run.ts";

type Values = (run: Run) => readonly string[] | Promise<readonly string[]>;

/** RFC 5173 §5.1: everything behind the header, as it is. */
const raw: Values = (run) =>
  later(run.message.body(), (bytes) => {
    spend(run, bytes.length >> 12);
    return [new TextDecoder().decode(bytes)];
  });

/** RFC 5173 §3: a message without an empty line has no body, and nothing of it matches. */
const unlessMissing = (values: Values): Values => (run) => run.message.header.complete ? values(run) : [];

/** Types as MIME has them: one slash. */
const WELL_FORMED = /^[^/]+\/[^/]+$/;

/** RFC 5173 §5.2: whether a type, or the type before a slash, is asked for. An odd text asks for nothing. */
function wanted(types: readonly string[]): (type: string) => boolean {
  const asked = types.map((type) => type.toLowerCase());
  return (type) =>
    WELL_FORMED.test(type) && asked.some((each) => {
      if (each === "") return true;
      const slashes = each.split("/").length - 1;
      if (slashes > 1 || each.startsWith("/") || each.endsWith("/")) return false;
      return slashes === 1 ? type === each : type.startsWith(`${each}/`);
    });
}

/** What of a part is searched: of composite parts their own text, not that of the parts inside. */
function contentOf(run: Run, part: MimePart): readonly string[] {
  const { value } = part.contentType;
  if (value.startsWith("multipart/")) {
    // RFC 5173 §5.2: the prologue and the epilogue.
    const slice = (from: number, to: number) => decodeText(part.bytes.subarray(from, to), undefined);
    return [slice(part.contentStart, part.preambleEnd), slice(part.epilogueStart, part.end)];
  }
  if (value === "message/rfc822" || value === "message/global") {
    const [inner] = part.children;
    // RFC 5173 §5.2: the header of the message inside.
    if (inner === undefined) return [];
    return [decodeText(inner.bytes.subarray(inner.start, inner.start + inner.header.end), undefined)];
  }
  return [partText(run, part)];
}

function content(types: (run: Run) => readonly string[]): Values {
  return (run) =>
    later(mimeRoot(run), (root) => {
      const isWanted = wanted(types(run));
      const values: string[] = [];
      for (const part of partsIn(run, root)) {
        if (isWanted(part.contentType.value)) values.push(...contentOf(run, part));
      }
      return values;
    });
}

/** RFC 5173 §5.3: what a reader would see as text, one for each part that is text; markup is taken out. */
export const readableText: Values = (run) =>
  later(mimeRoot(run), (root) => {
    const values: string[] = [];
    for (const part of partsIn(run, root)) {
      const { value } = part.contentType;
      if (value === "text/html" || value === "application/xhtml+xml") values.push(htmlText(partText(run, part)));
      else if (value.startsWith("text/") && WELL_FORMED.test(value)) values.push(partText(run, part));
    }
    return values;
  });

export const body: readonly Extension[] = [{
  capability: "body",
  tests: [{
    name: "body",
    parameters: [{ name: "key list", type: "strings" }],
    tagSets: ["Match"],
    tags: [
      { name: "raw", group: "body transform" },
      { name: "content", group: "body transform", value: { name: "content types", type: "strings" } },
      { name: "text", group: "body transform" },
    ],
    compile(call, compiler) {
      const matcher = compiler.matcher(call, "key list");
      if (matcher === undefined) return undefined;
      const types = call.tag("content")?.texts;
      const values = unlessMissing(
        call.has("raw") ? raw : types === undefined ? readableText : content((run) => types.read(run)),
      );
      return (run) => {
        // RFC 5173 §6: wildcards in bodies set no match variables.
        const before = run.matchValues;
        const decide = (found: readonly string[]) =>
          later(matcher(run, found), (result) => {
            run.matchValues = before;
            return result;
          });
        const found = values(run);
        return found instanceof Promise ? found.then(decide) : decide(found);
      };
    },
  }],
}];
