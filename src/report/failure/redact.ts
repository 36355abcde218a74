/** Keeping recipients out of reports (RFC 6590). */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { foldField, type HeaderField, parseHeader } from "../../message/mod.ts";
import { addressDomain, addressLocal } from "../../smtp/mod.ts";
import { joinBytes } from "../body_part.ts";

/** Replaces the recipients of a message in what is reported of it. */
export interface Redaction {
  /** A header block. */
  header(head: Uint8Array): Uint8Array;
  /** Any other text, such as a return path that names the recipient. */
  text(text: string): string;
}

/** Fields that name recipients, often with what they are called. */
const RECIPIENT_FIELDS: ReadonlySet<string> = new Set([
  "to",
  "cc",
  "bcc",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "apparently-to",
  "delivered-to",
  "envelope-to",
  "x-envelope-to",
  "x-original-to",
  "x-rcpt-to",
]);

const ADDRESS = /[^\s<>,;:"()[\]@]+@[^\s<>,;:"()[\]@]+/g;
const MOST_ADDRESSES = 1000;
const TOKEN_LENGTH = 16;

/**
 * Redacts by a keyed hash: whoever has the key can tell for an address what it became, nobody can tell the address, and
 * all reports about a recipient look alike (RFC 6590 §3). Fields that name recipients keep nothing but the hashed
 * addresses; elsewhere the local parts of these and of `recipients` are replaced, also in the form `local=domain`.
 *
 * @param recipients addresses of the envelope
 */
export function createRedaction(key: Uint8Array, recipients: readonly string[], head: Uint8Array): Redaction {
  const tokens = new Map<string, string>();
  const tokenOf = (address: string): string => {
    const plain = address.toLowerCase();
    let token = tokens.get(plain);
    if (token === undefined) {
      token = createHmac("sha256", key).update(plain).digest("base64url").slice(0, TOKEN_LENGTH);
      tokens.set(plain, token);
    }
    return token;
  };
  const redacted = (address: string) => `${tokenOf(address)}@${addressDomain(address)}`;
  const fields = parseHeader(head).fields;
  const named = fields.filter(({ lower }) => RECIPIENT_FIELDS.has(lower)).flatMap((field) => addressesOf(field));
  const known = [...new Set([...recipients, ...named].map((address) => address.toLowerCase()))]
    .filter((address) => address.includes("@")).slice(0, MOST_ADDRESSES);
  // Header blocks are looked at octet by octet, other texts are not.
  const spellings = new Map(known.flatMap((address) => [[address, address], [octetsOf(address), address]]));
  // Longer ones first, where one begins like the other.
  const pattern = [...spellings.keys()].toSorted((a, b) => b.length - a.length)
    .map((one) => `${escaped(addressLocal(one))}(?=[@=]${escaped(addressDomain(one))})`).join("|");
  const search = pattern === "" ? undefined : new RegExp(pattern, "gi");
  // Which of several addresses with this local part it is does not matter to the reader.
  const byLocal = new Map(
    [...spellings].map(([spelling, address]) => [addressLocal(spelling).toLowerCase(), tokenOf(address)]),
  );
  const text = (value: string) =>
    search === undefined ? value : value.replace(search, (local) => byLocal.get(local.toLowerCase()) ?? local);

  return {
    text,
    header(block) {
      return joinBytes(
        parseHeader(block).fields.map((field) => {
          if (RECIPIENT_FIELDS.has(field.lower)) {
            return foldField(field.name, addressesOf(field).map(redacted).join(", ") || "undisclosed");
          }
          const raw = Buffer.from(block.buffer, block.byteOffset + field.start, field.end - field.start);
          const before = raw.toString("latin1");
          const after = text(before);
          return after === before ? raw : Buffer.from(after, "latin1");
        }),
      );
    },
  };
}

function addressesOf(field: HeaderField): readonly string[] {
  return (field.value().match(ADDRESS) ?? []).slice(0, MOST_ADDRESSES);
}

/** The octets of UTF-8, a character each. */
function octetsOf(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
