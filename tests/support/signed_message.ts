/**
 * Signs messages in the words of the RFCs, with regular expressions over strings: a second opinion on what the program
 * computes over bytes. Messages are texts of Latin-1 characters with CRLF.
 */

import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign as signature } from "node:crypto";
import type { CheckContext, ReceivedMessage } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { createZone, type Zone, type ZoneEntry } from "./zone.ts";

/** A key pair for tests. */
export interface TestKey {
  readonly algorithm: "rsa-sha256" | "ed25519-sha256";
  readonly privateKey: KeyObject;
  /** The record to publish. */
  readonly record: string;
}

/** An RSA key; a short one is made faster. */
export function rsaKey(bits = 1024): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  const data = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  return { algorithm: "rsa-sha256", privateKey, record: `v=DKIM1; k=rsa; p=${data}` };
}

/** An Ed25519 key. */
export function ed25519Key(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const data = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64");
  return { algorithm: "ed25519-sha256", privateKey, record: `v=DKIM1; k=ed25519; p=${data}` };
}

/** Tags in place of the usual ones; `undefined` leaves one out. */
export type Tags = Readonly<Record<string, string | undefined>>;

/** The message with a signature field on top. */
export function sign(message: string, key: TestKey, tags: Tags = {}, name = "DKIM-Signature"): string {
  const [fields, body] = splitMessage(message);
  const all: Record<string, string | undefined> = {
    ...(name === "DKIM-Signature" ? { v: "1" } : {}),
    a: key.algorithm,
    c: "relaxed/relaxed",
    d: "example.org",
    s: "mail",
    h: "from:to:subject",
    ...tags,
  };
  const [header = "", bodyKind = "simple"] = (all.c ?? "simple/simple").split("/");
  const hash = all.a?.endsWith("sha1") ? "sha1" : "sha256";
  const canonical = canonicalBody(bodyKind, body);
  const counted = all.l === undefined ? canonical : canonical.slice(0, Number(all.l));
  if (!("bh" in tags)) all.bh = digest(hash, counted).toString("base64");
  const list = Object.entries(all).flatMap(([tag, value]) => value === undefined ? [] : [`${tag}=${value}`]);
  const field = `${name}: ${list.join("; ")}; b=`;
  const data = [...chosen(fields, (all.h ?? "").split(":").map((entry) => entry.trim())), field]
    .map((one) => canonicalField(header, one)).join("\r\n");
  return `${field}${signData(key, hash, data)}\r\n${message}`;
}

/** The message with one ARC set more on top (RFC 8617 §5.1). */
export function seal(
  message: string,
  key: TestKey,
  instance: number,
  tags: { readonly signature?: Tags; readonly seal?: Tags; readonly sealKey?: TestKey; readonly results?: string } = {},
): string {
  const sealKey = tags.sealKey ?? key;
  const results = `ARC-Authentication-Results: i=${instance}; mx.example.org; ${tags.results ?? "none"}`;
  const signed = sign(message, key, { i: String(instance), ...tags.signature }, "ARC-Message-Signature");
  const [fields] = splitMessage(signed);
  const list = Object.entries({
    i: String(instance),
    a: sealKey.algorithm,
    d: "example.org",
    s: "mail",
    cv: instance === 1 ? "none" : "pass",
    ...tags.seal,
  }).flatMap(([tag, value]) => value === undefined ? [] : [`${tag}=${value}`]);
  const field = `ARC-Seal: ${list.join("; ")}; b=`;
  const covered: string[] = [];
  for (let set = 1; set < instance; set++) {
    for (const name of ["arc-authentication-results", "arc-message-signature", "arc-seal"]) {
      const found = fields.find((one) => nameOf(one) === name && new RegExp(`[:;\\s]i=${set};`).test(one));
      if (found !== undefined) covered.push(found);
    }
  }
  covered.push(results, fields[0] ?? "", field);
  const data = covered.map((one) => canonicalField("relaxed", one)).join("\r\n");
  return `${field}${signData(sealKey, "sha256", data)}\r\n${results}\r\n${signed}`;
}

/** A message as the checks take it. */
export function received(message: string): ReceivedMessage {
  const bytes = Uint8Array.from(message, (char) => char.charCodeAt(0));
  return { content: memoryContent(bytes), header: parseHeader(bytes) };
}

/** A context whose clock stands at 2026-01-05 12:00 UTC, over a zone. */
export function checkContext(
  table: Readonly<Record<string, ZoneEntry>>,
  random = 0,
): CheckContext & { readonly zone: Zone } {
  const zone = createZone(table);
  return { resolver: zone, zone, now: () => Date.UTC(2026, 0, 5, 12), random: () => random };
}

function splitMessage(message: string): readonly [fields: string[], body: string] {
  const end = message.startsWith("\r\n") ? 0 : message.indexOf("\r\n\r\n");
  const header = end < 0 ? message : message.slice(0, end);
  const body = end < 0 ? "" : message.slice(end === 0 ? 2 : end + 4);
  return [header.split(/\r\n(?![ \t])/).filter((field) => field !== ""), body];
}

function nameOf(field: string): string {
  return field.slice(0, field.indexOf(":")).trim().toLowerCase();
}

// RFC 6376 §5.4.2.
function chosen(fields: readonly string[], names: readonly string[]): string[] {
  const left = [...fields];
  return names.flatMap((name) => {
    const at = left.findLastIndex((field) => nameOf(field) === name.toLowerCase());
    return at < 0 ? [] : left.splice(at, 1);
  });
}

function canonicalField(kind: string, field: string): string {
  if (kind === "simple") return field;
  const colon = field.indexOf(":");
  return `${nameOf(field)}:${field.slice(colon + 1).replace(/\r\n/g, "").replace(/[ \t]+/g, " ").trim()}`;
}

function canonicalBody(kind: string, body: string): string {
  if (kind === "simple") return body.replace(/(\r\n)*$/, "\r\n");
  const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  const text = lines.join("\r\n").replace(/(\r\n)*$/, "");
  return text === "" ? "" : `${text}\r\n`;
}

function digest(hash: string, text: string): Buffer {
  return createHash(hash).update(text, "latin1").digest();
}

function signData({ privateKey, algorithm }: TestKey, hash: string, text: string): string {
  // RFC 8463 §3: Ed25519 signs the digest.
  if (algorithm === "ed25519-sha256") return signature(null, digest("sha256", text), privateKey).toString("base64");
  return signature(hash, Buffer.from(text, "latin1"), privateKey).toString("base64");
}
