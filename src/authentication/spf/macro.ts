/** Macros in SPF records and explanations (RFC 7208 §7). */

/** A macro that stands for something about the message. */
export interface Macro {
  /** In lower case. */
  readonly letter: string;
  /** How many parts are kept, counted from the right; 0 keeps all. */
  readonly parts: number;
  readonly reverse: boolean;
  /** Characters that part the value. */
  readonly delimiters: string;
  /** Written in upper case: the result is escaped for a URI (RFC 7208 §7.3). */
  readonly escape: boolean;
}

/** Text with macros; the pieces in order. */
export type MacroText = readonly (string | Macro)[];

/** Where a text stands, which decides what it may hold. */
export type MacroPlace = "domain" | "modifier" | "explanation";

const LETTERS = "slodiphv";
// RFC 7208 §7.2: these only make sense to a reader.
const EXPLANATION_LETTERS = `${LETTERS}crt`;
const LITERAL = /^[!-$&-~]*$/;
const EXPLANATION_LITERAL = /^[ -$&-~]*$/;
const BODY = /^([a-z])([0-9]*)(r?)([.\-+,/_=]*)$/i;
const FIXED: Readonly<Record<string, string>> = { "%": "%", "_": " ", "-": "%20" };

/** A text that was read, and where its last macro ends. */
export interface ParsedMacroText {
  readonly pieces: MacroText;
  /** Offset after the last macro, `%%`, `%_` or `%-`; 0 without any. */
  readonly lastMacroEnd: number;
}

/** Reads text with macros; `undefined` if it does not follow the grammar (RFC 7208 §7.1). */
export function parseMacroText(text: string, place: MacroPlace): ParsedMacroText | undefined {
  const literal = place === "explanation" ? EXPLANATION_LITERAL : LITERAL;
  const letters = place === "domain" ? LETTERS : EXPLANATION_LETTERS;
  const pieces: (string | Macro)[] = [];
  let plain = "";
  let at = 0;
  let lastMacroEnd = 0;
  while (true) {
    const percent = text.indexOf("%", at);
    const before = percent < 0 ? text.slice(at) : text.slice(at, percent);
    if (!literal.test(before)) return undefined;
    plain += before;
    if (percent < 0) break;
    const next = text[percent + 1] ?? "";
    const fixed = FIXED[next];
    if (fixed !== undefined) {
      plain += fixed;
      at = percent + 2;
    } else {
      const close = next === "{" ? text.indexOf("}", percent) : -1;
      const macro = close < 0 ? undefined : readMacro(text.slice(percent + 2, close), letters);
      if (macro === undefined) return undefined;
      if (plain !== "") pieces.push(plain);
      plain = "";
      pieces.push(macro);
      at = close + 1;
    }
    lastMacroEnd = at;
  }
  if (plain !== "") pieces.push(plain);
  return { pieces, lastMacroEnd };
}

function readMacro(body: string, letters: string): Macro | undefined {
  // A longer body is no macro; the bound keeps hostile text from being matched over and over.
  const [, letter = "", digits = "", reverse = "", delimiters = ""] = body.length > 64 ? [] : BODY.exec(body) ?? [];
  const lower = letter.toLowerCase();
  if (lower === "" || !letters.includes(lower)) return undefined;
  const parts = digits === "" ? 0 : Number(digits);
  // RFC 7208 §7.3: a number of parts must not be zero.
  if (digits !== "" && parts === 0) return undefined;
  return { letter: lower, parts, reverse: reverse !== "", delimiters: delimiters || ".", escape: letter !== lower };
}

/** Whether a text asks for the value of a letter. */
export function usesMacro(text: MacroText, letter: string): boolean {
  return text.some((piece) => typeof piece !== "string" && piece.letter === letter);
}

/** The text with its macros replaced by what `value` gives for their letters. */
export function expandMacros(text: MacroText, value: (letter: string) => string): string {
  let out = "";
  for (const piece of text) out += typeof piece === "string" ? piece : expand(piece, value(piece.letter));
  return out;
}

function expand(macro: Macro, value: string): string {
  const { delimiters, parts, reverse, escape } = macro;
  let text = value;
  if (parts > 0 || reverse || delimiters !== ".") {
    let split = splitAt(value, delimiters);
    if (reverse) split = split.reverse();
    text = (parts > 0 ? split.slice(-parts) : split).join(".");
  }
  return escape ? escapeUri(text) : text;
}

function splitAt(value: string, delimiters: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (const char of value) {
    if (delimiters.includes(char)) {
      parts.push(part);
      part = "";
    } else {
      part += char;
    }
  }
  parts.push(part);
  return parts;
}

// RFC 3986 §2.3: everything but unreserved characters is escaped.
function escapeUri(text: string): string {
  let out = "";
  for (const octet of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(octet);
    out += /[A-Za-z0-9\-._~]/.test(char) ? char : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}
