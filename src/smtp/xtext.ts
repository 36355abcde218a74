/** xtext (RFC 3461 §4) and the escapes of `utf-8` address types (RFC 6533 §3). */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes text as xtext: printable ASCII except `+` and `=` stays, each other octet of its UTF-8 becomes `+HH`. */
export function xtextEncode(text: string): string {
  let out = "";
  for (const octet of encoder.encode(text)) {
    const plain = octet > 0x20 && octet < 0x7f && octet !== 0x2b && octet !== 0x3d;
    out += plain ? String.fromCharCode(octet) : "+" + octet.toString(16).toUpperCase().padStart(2, "0");
  }
  return out;
}

/** Undoes {@link xtextEncode}; `undefined` if `text` is not xtext or its octets are not UTF-8. */
export function xtextDecode(text: string): string | undefined {
  // RFC 3461 §4: neither "+" nor "=" stands for itself. Its hexadecimal digits are in upper case; both cases are read.
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*$/.test(text)) return undefined;
  if (!text.includes("+")) return text;
  const octets: number[] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "+") {
      octets.push(parseInt(text.slice(i + 1, i + 3), 16));
      i += 2;
    } else {
      octets.push(text.charCodeAt(i));
    }
  }
  try {
    return decoder.decode(Uint8Array.from(octets));
  } catch {
    return undefined;
  }
}

/**
 * Encodes an address for `ORCPT=utf-8;`: `\x{HEX}` for what may not stand there, and with `ascii` also for every
 * character outside ASCII (RFC 6533 §3, utf-8-addr-xtext and utf-8-addr-unitext).
 */
export function utf8AddressEncode(address: string, ascii: boolean): string {
  let out = "";
  for (const char of address) {
    const point = char.codePointAt(0) ?? 0xfffd;
    const plain = point > 0x7f ? !ascii && point >= 0xa0 : point > 0x20 && point < 0x7f && !"+=\\".includes(char);
    out += plain ? char : `\\x{${point.toString(16).toUpperCase().padStart(2, "0")}}`;
  }
  return out;
}

/** Undoes {@link utf8AddressEncode}; `undefined` if an escape is malformed or names no character. */
export function utf8AddressDecode(text: string): string | undefined {
  let valid = true;
  const decoded = text.replace(/\\(x\{([0-9A-Fa-f]{2,6})\})?/g, (_escape, form: string | undefined, hex: string) => {
    const point = form === undefined ? -1 : parseInt(hex, 16);
    if (point < 1 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      valid = false;
      return "";
    }
    return String.fromCodePoint(point);
  });
  return valid ? decoded : undefined;
}
