/** XML read as it comes (no document tree): elements by local name, no DTD, bounds on everything. */

import { SaxesParser } from "saxes";
import { DEEPEST_XML, LONGEST_TEXT, MOST_ERRORS } from "./limits.ts";

/** A document that is no report, or one that must not be read; the message is for people. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

/** What an XML document is made of. Names are local names in lower case. */
export interface XmlVisitor {
  /** An element begins; `path` holds the names from the root to it. */
  open(path: readonly string[]): void;
  /** An element ends. `text` is what stands directly in it. */
  close(path: readonly string[], text: string): void;
  /** The document is not well-formed here, and is read on. */
  flaw(description: string): void;
}

/** Reads one document. */
export interface XmlReader {
  /** @throws {FormatError} if the document must not be read on */
  write(text: string): void;
  /** @throws {FormatError} likewise */
  end(): void;
}

/** Characters that are parsed before bounds are looked at. */
const STEP = 16 * 1024;

/**
 * Starts reading. What is not well-formed is told and read on, up to a bound; a DTD ends it, so no entity beside the five
 * of XML itself is ever known.
 */
export function xmlReader(visitor: XmlVisitor): XmlReader {
  const path: string[] = [];
  const texts: string[] = [];
  let flaws = 0;
  let sinceTag = 0;
  const parser = new SaxesParser({ xmlns: false, position: false });
  const flaw = (description: string) => {
    if (++flaws > MOST_ERRORS) throw new FormatError("the XML is broken in too many places");
    visitor.flaw(description);
  };
  parser.on("error", (error) => flaw(error.message));
  parser.on("doctype", () => {
    throw new FormatError("the XML holds a document type declaration, which no report needs");
  });
  parser.on("opentag", (tag) => {
    sinceTag = 0;
    const colon = tag.name.lastIndexOf(":");
    path.push(tag.name.slice(colon + 1).toLowerCase());
    texts.push("");
    if (path.length > DEEPEST_XML) throw new FormatError(`elements lie more than ${DEEPEST_XML} deep`);
    visitor.open(path);
  });
  const add = (text: string) => {
    const last = texts.length - 1;
    const sofar = texts[last];
    if (sofar !== undefined && sofar.length < LONGEST_TEXT) texts[last] = sofar + text;
  };
  parser.on("text", add);
  parser.on("cdata", add);
  parser.on("closetag", () => {
    sinceTag = 0;
    visitor.close(path, texts.pop() ?? "");
    path.pop();
  });
  /** The end of what came, kept back as it may be the start of a reference. */
  let rest = "";
  const feed = (text: string, final: boolean) => {
    const whole = rest + text;
    const last = final ? -1 : whole.lastIndexOf("&");
    const cut = last >= 0 && whole.length - last < LONGEST_REFERENCE ? last : whole.length;
    rest = whole.slice(cut);
    const piece = whole.slice(0, cut).replace(STRAY_AMPERSAND, () => {
      flaw("an ampersand stands for itself");
      return "&amp;";
    });
    sinceTag += piece.length;
    parser.write(piece);
    if (sinceTag > LONGEST_TEXT) throw new FormatError(`more than ${LONGEST_TEXT} characters without an element`);
  };
  return {
    write(text) {
      for (let at = 0; at < text.length; at += STEP) feed(text.slice(at, at + STEP), false);
    },
    end() {
      feed("", true);
      parser.close();
    },
  };
}

/** Characters of a reference at most: longer ones are none. */
const LONGEST_REFERENCE = 40;
/** What begins no reference: the parser would look for its end through the rest of the document. */
const STRAY_AMPERSAND = /&(?!(?:#\d{1,7}|#x[\da-fA-F]{1,6}|[\w.-]{1,32});)/g;
