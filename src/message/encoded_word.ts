/** Encoded words (RFC 2047): header text outside ASCII. */

const encoder = new TextEncoder();

// RFC 2047 §2: an encoded word has at most 75 characters; "=?utf-8?q?" and "?=" take 12.
const ROOM = 63;
const MOST_CHARSET = 40;

/**
 * Header text as ASCII: unchanged if it is, else as encoded words with one blank between them, where a field may be
 * folded. Line breaks become blanks, other control characters `?`.
 */
export function encodeHeaderText(text: string): string {
  const clean = text.replace(/[\r\n\t]+/g, " ").replace(/\p{Cc}/gu, "?");
  // What looks like an encoded word must not be read as one.
  if (/^[ -~]*$/.test(clean) && !clean.includes("=?")) return clean;
  const q = Array.from(clean, encodeQ);
  const b = Array.from(clean, (char) => encoder.encode(char));
  const qLength = q.reduce((sum, char) => sum + char.length, 0);
  const bLength = Math.ceil(b.reduce((sum, octets) => sum + octets.length, 0) / 3) * 4;
  return qLength <= bLength ? wordsQ(q) : wordsB(b);
}

/** Decodes the encoded words in header text; those that are malformed or in an unknown charset stay as they are. */
export function decodeHeaderText(text: string): string {
  if (!text.includes("=?")) return text;
  let out = "";
  // Neighbours in one charset, decoded together: careless encoders cut characters in two.
  let run: { readonly charset: string; readonly octets: Uint8Array }[] = [];
  let last = 0;
  for (const match of text.matchAll(/=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=/gi)) {
    const [whole, charset = "", encoding = "", content = ""] = match;
    const octets = encoding.toLowerCase() === "b" ? decodeB(content) : decodeQ(content);
    // RFC 2231 §5: a language may follow the charset.
    const name = charset.replace(/\*.*$/, "").toLowerCase();
    const gap = text.slice(last, match.index);
    last = match.index + whole.length;
    const valid = octets !== undefined && decoderFor(name) !== undefined;
    // RFC 2047 §6.2: blanks between two encoded words are not shown.
    const joined = valid && run.length > 0 && gap.trim() === "";
    if (!joined || run[0]?.charset !== name) {
      out += decodeRun(run) + (joined ? "" : gap);
      run = [];
    }
    if (valid) run.push({ charset: name, octets });
    else out += whole;
  }
  return out + decodeRun(run) + text.slice(last);
}

function encodeQ(char: string): string {
  if (char === " ") return "_";
  // RFC 2047 §5 (3): the characters that are safe in every place.
  if (/^[A-Za-z0-9!*+\-/]$/.test(char)) return char;
  return Array.from(encoder.encode(char), (octet) => "=" + octet.toString(16).toUpperCase().padStart(2, "0")).join("");
}

function wordsQ(chars: readonly string[]): string {
  const words: string[] = [];
  let word = "";
  for (const char of chars) {
    if (word.length + char.length > ROOM) {
      words.push(word);
      word = "";
    }
    word += char;
  }
  words.push(word);
  return words.map((content) => `=?utf-8?q?${content}?=`).join(" ");
}

function wordsB(chars: readonly Uint8Array[]): string {
  const mostOctets = Math.floor(ROOM / 4) * 3;
  const words: number[][] = [[]];
  for (const octets of chars) {
    const word = words.at(-1) ?? [];
    if (word.length + octets.length > mostOctets) words.push([...octets]);
    else word.push(...octets);
  }
  return words.map((word) => `=?utf-8?b?${btoa(String.fromCharCode(...word))}?=`).join(" ");
}

function decodeB(content: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function decodeQ(content: string): Uint8Array | undefined {
  if (/[^!-~]/.test(content) || /=(?![0-9A-Fa-f]{2})/.test(content)) return undefined;
  const octets = content.replace(/_/g, " ").replace(/=(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(octets, (char) => char.charCodeAt(0));
}

function decodeRun(parts: readonly { readonly charset: string; readonly octets: Uint8Array }[]): string {
  const first = parts[0];
  if (first === undefined) return "";
  const octets = new Uint8Array(parts.reduce((sum, part) => sum + part.octets.length, 0));
  let at = 0;
  for (const part of parts) {
    octets.set(part.octets, at);
    at += part.octets.length;
  }
  return decoderFor(first.charset)?.decode(octets) ?? "";
}

function decoderFor(charset: string): TextDecoder | undefined {
  if (charset.length > MOST_CHARSET) return undefined;
  try {
    return new TextDecoder(charset);
  } catch {
    return undefined;
  }
}
