/** Keeping recipients out of reports (RFC 6590). */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { foldField, type HeaderField, parseHeader } from "../../message/mod.ts";
import { addressDomain, addressLocal } from "../../smtp/mod.ts";
import { joinBytes } from "../body_part.ts";
import { createAddressFinder } from "./address_finder.ts";

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

/** What stands between addresses. One class, so that hostile text costs no more than its length. */
const BETWEEN = /[\s<>,;:"()[\]]+/;
const MOST_ADDRESSES = 1000;
const TOKEN_LENGTH = 16;

/**
 * Redacts by a keyed hash: whoever has the key can tell for an address what it became, nobody can tell the address, and
 * all reports about a recipient look alike (RFC 6590 §3). Fields that name recipients keep nothing but the hashed
 * addresses; elsewhere the local parts of these and of `recipients` are replaced, also in the forms `local=domain` and
 * `local%40domain`.
 *
 * @param recipients addresses of the envelope
 * @param head the header block that is to be told
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
  const finder = createAddressFinder();
  for (const address of known) {
    const local = addressLocal(address);
    const domain = addressDomain(address);
    // Header blocks are looked at octet by octet, other texts are not; links have what is special encoded.
    for (const spelling of new Set([local, encodeURIComponent(local.toWellFormed()).toLowerCase()])) {
      finder.add({ local: spelling, domain }, tokenOf(address));
      finder.add({ local: octetsOf(spelling), domain: octetsOf(domain) }, tokenOf(address));
    }
  }

  return {
    text: finder.replace,
    header(block) {
      return joinBytes(
        parseHeader(block).fields.map((field) => {
          if (RECIPIENT_FIELDS.has(field.lower)) {
            return foldField(field.name, addressesOf(field).map(redacted).join(", ") || "undisclosed");
          }
          const raw = Buffer.from(block.buffer, block.byteOffset + field.start, field.end - field.start);
          const before = raw.toString("latin1");
          const after = finder.replace(before);
          return after === before ? raw : Buffer.from(after, "latin1");
        }),
      );
    },
  };
}

function addressesOf(field: HeaderField): readonly string[] {
  const found: string[] = [];
  for (const word of field.value().split(BETWEEN)) {
    const [local = "", domain = ""] = word.split("@", 2);
    if (local === "" || domain === "") continue;
    found.push(`${local}@${domain}`);
    if (found.length === MOST_ADDRESSES) break;
  }
  return found;
}

/** The octets of UTF-8, a character each. */
function octetsOf(text: string): string {
  return Buffer.from(text).toString("latin1");
}
