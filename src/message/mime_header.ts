/** Structured header fields of MIME (RFC 2045 §5.1, RFC 2183, RFC 2231): a value with parameters. */

/** `Content-Type`, `Content-Disposition` and their kin. */
export interface ParameterizedValue {
  /** What stands before the first semicolon, in lower case: `text/plain`, `attachment`. */
  readonly value: string;
  /** Parameters by name in lower case; continuations joined and charsets decoded (RFC 2231). */
  readonly parameters: ReadonlyMap<string, string>;
}

const MOST_PARAMETERS = 100;
const PARAMETER = /[;\s]*([^\s;="()<>@,:\\/[\]?]+)\s*=\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s;"]*))/y;

/** Reads an unfolded value. Never throws; what cannot be read is passed over. */
export function parseParameterized(text: string): ParameterizedValue {
  const source = stripComments(text);
  const semicolon = source.indexOf(";");
  const value = (semicolon < 0 ? source : source.slice(0, semicolon)).replace(/\s+/g, "").toLowerCase();
  const plain = new Map<string, string>();
  let at = semicolon < 0 ? source.length : semicolon;
  for (let count = 0; at < source.length && count < MOST_PARAMETERS; count++) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(source);
    if (match === null) {
      const next = source.indexOf(";", at + 1);
      if (next < 0) break;
      at = next;
      continue;
    }
    const [whole, name = "", quoted, token = ""] = match;
    const lower = name.toLowerCase();
    if (!plain.has(lower)) plain.set(lower, quoted === undefined ? token : quoted.replace(/\\([^])/g, "$1"));
    at += whole.length;
  }
  return { value, parameters: joinContinuations(plain) };
}

/** RFC 2231 §3 and §4: `name*0*=utf-8''...; name*1=...`. */
function joinContinuations(plain: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of plain) {
    const star = name.indexOf("*");
    if (star < 0) {
      if (!joined.has(name)) joined.set(name, value);
      continue;
    }
    const base = name.slice(0, star);
    const mark = name.slice(star);
    if (mark !== "*" && mark !== "*0" && mark !== "*0*") continue;
    let charset = "utf-8";
    let octets: number[] = [];
    const add = (piece: string, encoded: boolean, first: boolean) => {
      let rest = piece;
      if (encoded && first) {
        const parts = /^([^']*)'[^']*'([^]*)$/.exec(piece);
        if (parts !== null) [charset, rest] = [parts[1] || "utf-8", parts[2] ?? ""];
      }
      octets = octets.concat(encoded ? percentDecoded(rest) : [...new TextEncoder().encode(rest)]);
    };
    add(value, mark.endsWith("*") && mark !== "*0", true);
    if (mark !== "*") {
      for (let index = 1; index < MOST_PARAMETERS; index++) {
        const encoded = plain.get(`${base}*${index}*`);
        const next = encoded ?? plain.get(`${base}*${index}`);
        if (next === undefined) break;
        add(next, encoded !== undefined, false);
      }
    }
    joined.set(base, decode(charset, Uint8Array.from(octets)));
  }
  return joined;
}

function percentDecoded(text: string): number[] {
  const octets: number[] = [];
  const bytes = new TextEncoder().encode(text);
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes[i] === 0x25 ? String.fromCharCode(...bytes.subarray(i + 1, i + 3)) : "";
    if (/^[0-9a-f]{2}$/i.test(hex)) {
      octets.push(parseInt(hex, 16));
      i += 2;
    } else {
      octets.push(bytes[i] as number);
    }
  }
  return octets;
}

function decode(charset: string, octets: Uint8Array): string {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets);
  }
}

/** Takes comments out, leaving quoted strings alone. */
function stripComments(text: string): string {
  if (!text.includes("(")) return text;
  let out = "";
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (char === "\\") {
      if (depth === 0) out += text.slice(i, i + 2);
      i++;
    } else if (quoted || (char === '"' && depth === 0)) {
      if (char === '"') quoted = !quoted;
      out += char;
    } else if (char === "(") {
      depth++;
    } else if (char === ")" && depth > 0) {
      depth--;
    } else if (depth === 0) {
      out += char;
    }
  }
  return out;
}
