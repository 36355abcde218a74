/** Lists of addresses in header fields (RFC 5322 §3.4), read as leniently as mail in the wild needs it. */

/** One entry of a list. Members of a group stand by themselves; its name is lost. */
export interface ListedAddress {
  /** Whether there is a local part and nothing that cannot be read; else only `source` is of use. */
  readonly valid: boolean;
  /** Without quotes. */
  readonly local: string;
  /** As written, without blanks and comments; `""` if there is none. */
  readonly domain: string;
  /** The name before an address in angle brackets, unquoted; `""` if there is none. */
  readonly name: string;
  /** The entry as written, blanks around it taken off. */
  readonly source: string;
}

/** More entries than anybody writes to are not told apart. */
const MOST_ADDRESSES = 10_000;
const DEEPEST_COMMENT = 50;

type Word =
  | { readonly kind: "atom" | "quoted" | "literal"; readonly text: string }
  | { readonly kind: "special"; readonly text: string };

/** Reads an unfolded value. Never throws; what cannot be read becomes entries that are not `valid`. */
export function parseAddressList(value: string): readonly ListedAddress[] {
  const list: ListedAddress[] = [];
  let words: Word[] = [];
  let broken = false;
  let angle = false;
  let start = 0;
  let at = 0;
  const finish = (end: number) => {
    const source = value.slice(start, end).trim();
    if (words.length > 0 || broken) list.push(entry(words, broken || angle, source));
    words = [];
    broken = false;
    angle = false;
  };
  while (at < value.length && list.length < MOST_ADDRESSES) {
    const char = value[at] as string;
    if (char === " " || char === "\t" || char === "\r" || char === "\n") {
      at++;
    } else if (char === "(") {
      const end = commentEnd(value, at);
      broken ||= end === undefined;
      at = end ?? value.length;
    } else if (char === '"') {
      const quoted = quotedString(value, at);
      broken ||= !quoted.closed;
      words.push({ kind: "quoted", text: quoted.text });
      at = quoted.end;
    } else if (char === "[") {
      const close = value.indexOf("]", at);
      broken ||= close < 0;
      const end = close < 0 ? value.length : close + 1;
      words.push({ kind: "literal", text: value.slice(at, end) });
      at = end;
    } else if (char === "," && !(angle && words.some(({ text }) => text === "<") && routeOpen(words))) {
      finish(at);
      start = ++at;
    } else if (char === ";") {
      finish(at);
      start = ++at;
    } else if (char === ":" && !angle) {
      // The name of a group; the members follow.
      words = [];
      broken = false;
      start = ++at;
    } else if ("<>@:.,)]\\".includes(char)) {
      if (char === "<") angle = true;
      else if (char === ">") angle = false;
      else if (char === ")" || char === "]" || char === "\\") broken = true;
      words.push({ kind: "special", text: char });
      at++;
    } else {
      let end = at + 1;
      while (end < value.length && !' \t\r\n()<>@,;:\\".[]'.includes(value[end] as string)) end++;
      words.push({ kind: "atom", text: value.slice(at, end) });
      at = end;
    }
  }
  finish(value.length);
  return list;
}

/** Inside `<@a,@b:c@d>` a comma separates hosts of the obsolete route. */
function routeOpen(words: readonly Word[]): boolean {
  const open = words.findLastIndex(({ kind, text }) => kind === "special" && text === "<");
  return words[open + 1]?.text === "@" && !words.slice(open).some(({ text }) => text === ":");
}

function entry(words: readonly Word[], broken: boolean, source: string): ListedAddress {
  const invalid: ListedAddress = { valid: false, local: "", domain: "", name: "", source };
  if (broken) return invalid;
  const isSpecial = (word: Word | undefined, text: string) => word?.kind === "special" && word.text === text;
  const open = words.findIndex((word) => isSpecial(word, "<"));
  if (open < 0) {
    const spec = addrSpec(words);
    return spec === undefined ? invalid : { valid: true, ...spec, name: "", source };
  }
  if (!isSpecial(words.at(-1), ">")) return invalid;
  let inner = words.slice(open + 1, -1);
  if (isSpecial(inner[0], "@")) inner = inner.slice(inner.findIndex((word) => isSpecial(word, ":")) + 1);
  const name = words.slice(0, open);
  if (name.some((word) => word.kind === "special" && word.text !== ".")) return invalid;
  const spec = addrSpec(inner);
  if (spec === undefined) return invalid;
  return { valid: true, ...spec, name: name.map(({ text }) => text).join(" ").replaceAll(" .", "."), source };
}

function addrSpec(words: readonly Word[]): { readonly local: string; readonly domain: string } | undefined {
  const at = words.findLastIndex(({ kind, text }) => kind === "special" && text === "@");
  const left = at < 0 ? words : words.slice(0, at);
  const right = at < 0 ? [] : words.slice(at + 1);
  if (!alternating(left, true) || (at >= 0 && !alternating(right, false))) return undefined;
  return { local: left.map(({ text }) => text).join(""), domain: right.map(({ text }) => text).join("") };
}

/** Words with dots between them; dots elsewhere are common in local parts and harmless. */
function alternating(words: readonly Word[], lenient: boolean): boolean {
  let wordBefore = false;
  let any = false;
  for (const { kind, text } of words) {
    if (kind === "special") {
      if (text !== "." || (!lenient && !wordBefore)) return false;
      wordBefore = false;
    } else {
      if (wordBefore) return false;
      wordBefore = true;
      any = true;
    }
  }
  return any && (lenient || wordBefore);
}

/** The offset behind a comment, which may hold comments; undefined if it has no end. */
function commentEnd(value: string, from: number): number | undefined {
  let depth = 0;
  for (let i = from; i < value.length; i++) {
    const char = value[i];
    if (char === "\\") i++;
    else if (char === "(" && depth < DEEPEST_COMMENT) depth++;
    else if (char === ")" && --depth === 0) return i + 1;
  }
  return undefined;
}

function quotedString(value: string, from: number): { text: string; end: number; closed: boolean } {
  let text = "";
  for (let i = from + 1; i < value.length; i++) {
    const char = value[i] as string;
    if (char === '"') return { text, end: i + 1, closed: true };
    if (char === "\\" && i + 1 < value.length) i++;
    text += value[i];
  }
  return { text, end: value.length, closed: false };
}
