/** `${hex:…}` and `${unicode:…}` in strings (RFC 5228 §2.4.2.4). */

import type { Extension } from "../definition.ts";

const ENCODED = /\$\{(hex|unicode):([^{}]*)\}/gi;
const HEX = /^\s*[0-9a-f]{2}(?:\s+[0-9a-f]{2})*\s*$/i;
const UNICODE = /^\s*[0-9a-f]+(?:\s+[0-9a-f]+)*\s*$/i;

/** Octets in a row, which together may be one character. */
const OCTETS = /(?:\$\{hex:[^{}]*\})+/gi;

export const encodedCharacter: readonly Extension[] = [{
  capability: "encoded-character",
  decode(text, at, compiler) {
    if (!text.includes("${")) return text;
    const octets = text.replace(OCTETS, (run) => {
      const all: number[] = [];
      for (const [whole, , digits = ""] of run.matchAll(ENCODED)) {
        if (!HEX.test(digits)) return run === whole ? whole : run.replaceAll(whole, () => whole);
        for (const pair of digits.trim().split(/\s+/)) all.push(parseInt(pair, 16));
      }
      return new TextDecoder().decode(Uint8Array.from(all));
    });
    return octets.replace(ENCODED, (whole, kind: string, digits: string) => {
      if (kind.toLowerCase() !== "unicode" || !UNICODE.test(digits)) return whole;
      let decoded = "";
      for (const number of digits.trim().split(/\s+/)) {
        const point = number.replace(/^0+/, "").length > 8 ? Infinity : parseInt(number, 16);
        if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
          compiler.error(at, `'${number.slice(0, 32)}' is not the number of a Unicode character`);
          return whole;
        }
        decoded += String.fromCodePoint(point);
      }
      return decoded;
    });
  },
}];
