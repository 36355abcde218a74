/** `${hex:…}` and `${unicode:…}` in strings (RFC 5228 §2.4.2.4). */

import type { Extension } from "../definition.ts";

/** Octets in a row, which together may be one character. What is not of this form stays as it is. */
const OCTETS = /(?:\$\{hex:[ \t\r\n]*[0-9a-f]{1,2}(?:[ \t\r\n]+[0-9a-f]{1,2})*[ \t\r\n]*\})+/gi;
const OCTET = /[0-9a-f]{1,2}(?=[ \t\r\n}])/gi;
const UNICODE = /\$\{unicode:([ \t\r\n]*[0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*[ \t\r\n]*)\}/gi;

export const encodedCharacter: readonly Extension[] = [{
  capability: "encoded-character",
  decode(text, at, compiler) {
    if (!text.includes("${")) return text;
    const decoder = new TextDecoder();
    return text
      .replace(OCTETS, (row) => {
        const pairs = row.replace(/\$\{hex:/gi, " ").match(OCTET) ?? [];
        return decoder.decode(Uint8Array.from(pairs, (pair) => parseInt(pair, 16)));
      })
      .replace(UNICODE, (whole, digits: string) => {
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
