/** Bytes of a document to text, whatever it was written in: byte order marks, UTF-16 and declared charsets. */

/** Decodes a document that comes in pieces. */
export interface DocumentDecoder {
  /** Text of the next bytes; `""` while it is not known yet how to read them. */
  write(bytes: Uint8Array): string;
  end(): string;
}

/** Octets that are looked at before anything is decoded. */
const LOOKED_AT = 256;

/**
 * A decoder of a document that begins with markup. A byte order mark decides, then zeros between the first characters,
 * then what an XML declaration says; UTF-8 otherwise. Never throws.
 */
export function documentDecoder(): DocumentDecoder {
  let head = new Uint8Array(0);
  let decoder: TextDecoder | undefined;
  let blank = true;
  /** Blanks before the document are dropped: nothing may stand before an XML declaration. */
  const trimmed = (text: string) => {
    if (!blank) return text;
    const rest = text.replace(/^[\s\0\uFEFF]+/, "");
    blank = rest === "";
    return rest;
  };
  return {
    write(bytes) {
      if (decoder !== undefined) return trimmed(decoder.decode(bytes, { stream: true }));
      const joined = new Uint8Array(head.length + bytes.length);
      joined.set(head);
      joined.set(bytes, head.length);
      head = joined;
      if (head.length < LOOKED_AT) return "";
      decoder = decoderFor(head);
      return trimmed(decoder.decode(head, { stream: true }));
    },
    end() {
      if (decoder !== undefined) return trimmed(decoder.decode());
      return trimmed(decoderFor(head).decode(head));
    },
  };
}

function decoderFor(head: Uint8Array): TextDecoder {
  const [first, second, third] = head;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le");
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be");
  if (first === 0xef && second === 0xbb && third === 0xbf) return new TextDecoder();
  if (first !== 0 && second === 0 && third !== 0) return new TextDecoder("utf-16le");
  if (first === 0 && second !== 0 && third === 0) return new TextDecoder("utf-16be");
  const start = new TextDecoder("latin1").decode(head.subarray(0, LOOKED_AT));
  const declared = /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(start)?.[1]?.toLowerCase();
  // Whoever could be read up to here is not UTF-16, whatever it says.
  if (declared === undefined || declared.startsWith("utf-16")) return new TextDecoder();
  try {
    return new TextDecoder(declared);
  } catch {
    return new TextDecoder();
  }
}
