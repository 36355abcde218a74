/** Authentication-Results (RFC 8601): all that was found out, in one field. */

import { foldField, type HeaderField } from "../message/mod.ts";
import { domainToAscii } from "../smtp/mod.ts";
import type { ArcResult, AuthResults, DkimResult, DmarcResult, IprevResult, SpfResult } from "./types.ts";
import { commentText, propertyValue, quotedAscii, tokenOrQuoted } from "./value.ts";

/** A fold stands before each result. */
const NEXT = ";\r\n\t";

/**
 * The payload of the field, also for ARC-Authentication-Results (RFC 8617 §4.1.1), with a fold before each result.
 *
 * @param authservId name of this server
 * @param ip address of the client, `""` if there is none
 */
export function authenticationResults(authservId: string, results: AuthResults, ip: string): string {
  let text = "";
  if (results.dkim !== undefined) { for (const result of results.dkim) text += NEXT + dkim(result); }
  if (results.spfMailFrom !== undefined) text += NEXT + spf(results.spfMailFrom);
  if (results.spfEhlo !== undefined) text += NEXT + spf(results.spfEhlo);
  if (results.arc !== undefined) text += NEXT + arc(results.arc, ip);
  if (results.dmarc !== undefined) text += NEXT + dmarc(results.dmarc);
  if (results.iprev !== undefined) text += NEXT + iprev(results.iprev);
  // RFC 8601 §2.2: where nothing was checked, that is said.
  return tokenOrQuoted(authservId) + (text === "" ? `${NEXT}none` : text);
}

/** A complete `Authentication-Results:` field, folded, with CRLF at its end. */
export function authenticationResultsField(authservId: string, results: AuthResults, ip: string): Uint8Array {
  return foldField("Authentication-Results", authenticationResults(authservId, results, ip));
}

function dkim({ result, domain, selector, algorithm, auid, signature, testing, reason }: DkimResult): string {
  return methodspec("dkim", result, testing ? "the key is in testing mode" : "", reason) +
    property("header.d", domain) +
    property("header.s", selector) +
    property("header.a", algorithm) +
    property("header.i", auid) +
    // RFC 6008 §4: enough of the signature to tell it from the others.
    property("header.b", signature.slice(0, 8));
}

function spf({ result, identity, domain, sender, reason }: SpfResult): string {
  const isError = result === "permerror" || result === "temperror";
  return methodspec("spf", result, "", isError ? reason : undefined) +
    // RFC 8601 §2.7.2
    (identity === "helo" ? property("smtp.helo", domain) : property("smtp.mailfrom", sender));
}

function arc({ result, instance, oldestPass, reason }: ArcResult, ip: string): string {
  const text = methodspec("arc", result, instance > 0 ? `i=${instance}` : "", reason);
  if (result === "none") return text;
  // RFC 8617 §10.2
  return text + (result === "pass" ? property("header.oldest-pass", `${oldestPass}`) : "") +
    property("smtp.remote-ip", ip);
}

function dmarc({ result, fromDomain, policy, disposition, record, reason }: DmarcResult): string {
  const comment = record === undefined ? "" : `p=${policy} dis=${disposition}`;
  return methodspec("dmarc", result, comment, reason) + property("header.from", fromDomain) +
    (record === undefined ? "" : property("policy.dmarc", policy));
}

function iprev({ result, ip, name, reason }: IprevResult): string {
  return methodspec("iprev", result, name, reason) + property("policy.iprev", ip);
}

function methodspec(method: string, result: string, comment: string, reason: string | undefined): string {
  const text = comment === "" ? `${method}=${result}` : `${method}=${result} (${commentText(comment)})`;
  return reason === undefined || result === "pass" ? text : `${text} reason=${quotedAscii(reason)}`;
}

/** A property: ptype and name, and its value; nothing if that is empty. */
function property(name: string, value: string): string {
  return value === "" ? "" : ` ${name}=${propertyValue(value)}`;
}

/**
 * Whether a field of this name claims to be written by one of `ids`. A message that comes in cannot carry a true one
 * (RFC 8601 §5). What others wrote stays.
 */
export function claimsToBe(field: HeaderField, ids: readonly string[]): boolean {
  const claimed = comparable(authservIdOf(field.value()));
  return ids.some((id) => comparable(id) === claimed);
}

function comparable(id: string): string {
  // RFC 5891 §4.3 leaves to software which other full stops it takes for a dot; some readers take these (UTS 46).
  const name = id.replace(/[.\u3002\uff0e\uff61]$/, "");
  return domainToAscii(name) ?? name.toLowerCase();
}

/** The authserv-id: the first token or quoted string behind comments. */
function authservIdOf(value: string): string {
  const text = value.slice(skipComments(value));
  if (!text.startsWith('"')) return /^[^\s;()"]*/.exec(text)?.[0] ?? "";
  const [, content = ""] = /^"((?:[^"\\]|\\.)*)"/.exec(text) ?? [];
  return content.replace(/\\(.)/g, "$1");
}

function skipComments(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")" && depth > 0) depth--;
    else if (char === "\\" && depth > 0) i++;
    else if (depth === 0 && char !== " " && char !== "\t") return i;
  }
  return text.length;
}
