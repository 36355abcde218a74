/** Quoted-printable text (RFC 2045 §6.7). */

const encoder = new TextEncoder();

// RFC 2045 §6.7 (5): 76 characters, the "=" of a soft line break included.
const LONGEST = 75;

/** Encodes text whose lines end in CRLF, as UTF-8. */
export function quotedPrintable(text: string): string {
  return text.split("\r\n").map(encodeLine).join("\r\n");
}

function encodeLine(line: string): string {
  const pieces = Array.from(line, encodeCharacter);
  // RFC 2045 §6.7 (3): a blank at the end of a line would be lost.
  const last = pieces.at(-1);
  if (last === " ") pieces[pieces.length - 1] = "=20";
  const lines: string[] = [];
  let current = "";
  for (const piece of pieces) {
    if (current.length + piece.length > LONGEST) {
      lines.push(`${current}=`);
      current = "";
    }
    current += piece;
  }
  return [...lines, current].join("\r\n");
}

function encodeCharacter(char: string): string {
  if (char >= " " && char <= "~" && char !== "=") return char;
  return Array.from(encoder.encode(char), (octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
