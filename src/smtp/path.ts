/** Reverse-paths and forward-paths as they stand in MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3). */

import { isDotString, needsSmtpUtf8 } from "./address.ts";
import { domainToAscii, domainToUnicode, isAddressLiteral, isDomain, LONGEST_DOMAIN } from "./domain.ts";

/** Longest local part in octets (RFC 5321 §4.5.3.1.1). */
export const LONGEST_LOCAL_PART = 64;
/** Longest path in octets, angle brackets included (RFC 5321 §4.5.3.1.3). */
export const LONGEST_PATH = 256;

/** What {@link parsePath} found; `end` is the index after the closing bracket. */
export type PathResult =
  | { readonly kind: "path"; readonly path: string; readonly end: number }
  | { readonly kind: "error"; readonly problem: string };

/**
 * Reads a path that starts with `<` at `start`. The path comes back normalised: source route dropped, domain in lower
 * case, a quoted local part unquoted where no quoting is needed, `""` for `<>`, `postmaster` for `<Postmaster>`.
 */
export function parsePath(text: string, start: number, direction: "reverse" | "forward"): PathResult {
  if (text[start] !== "<") return failed("the address must stand in angle brackets");
  if (text[start + 1] === ">") {
    return direction === "reverse"
      ? { kind: "path", path: "", end: start + 2 }
      : failed("a recipient cannot be the null address");
  }
  const afterRoute = skipSourceRoute(text, start + 1);
  if (afterRoute < 0) return failed("malformed source route");
  const localEnd = text[afterRoute] === '"' ? endOfQuotedString(text, afterRoute) : endOfDotString(text, afterRoute);
  if (localEnd < 0) return failed("unterminated quoted local part");
  const written = text.slice(afterRoute, localEnd);
  const local = normalizeLocalPart(written);
  if (local === undefined) return failed("malformed local part");
  if (octets(written) > LONGEST_LOCAL_PART) return failed(`local part longer than ${LONGEST_LOCAL_PART} octets`);
  if (text[localEnd] === ">") {
    // RFC 5321 §4.1.1.3: the one address without a domain.
    return direction === "forward" && local.toLowerCase() === "postmaster"
      ? { kind: "path", path: "postmaster", end: localEnd + 1 }
      : failed("the address needs a domain");
  }
  if (text[localEnd] !== "@") return failed("malformed local part");
  const domainEnd = endOfDomain(text, localEnd + 1);
  if (domainEnd < 0) return failed("missing closing angle bracket");
  const domain = text.slice(localEnd + 1, domainEnd);
  if (octets(domain) > LONGEST_DOMAIN) return failed(`domain longer than ${LONGEST_DOMAIN} octets`);
  if (!isDomainOrLiteral(domain)) return failed("malformed domain");
  if (octets(written) + octets(domain) + 3 > LONGEST_PATH) return failed(`path longer than ${LONGEST_PATH} octets`);
  return { kind: "path", path: `${local}@${normalizeDomain(domain)}`, end: domainEnd + 1 };
}

/** The address in the form the rest of the program uses, or nothing if the text is no address: `a@EXAMPLE.org`. */
export function asAddress(text: string): string | undefined {
  const bracketed = `<${text}>`;
  const parsed = parsePath(bracketed, 0, "forward");
  return parsed.kind === "path" && parsed.end === bracketed.length && parsed.path.includes("@")
    ? parsed.path
    : undefined;
}

// RFC 5321 §F.2: a source route is accepted and ignored.
function skipSourceRoute(text: string, start: number): number {
  if (text[start] !== "@") return start;
  const colon = endOfRoute(text, start);
  if (colon < 0) return -1;
  const hops = text.slice(start, colon).split(",");
  // RFC 5321 §4.1.2: At-domain.
  const wellFormed = hops.every((hop) => hop.startsWith("@") && isDomainOrLiteral(hop.slice(1)));
  return wellFormed ? colon + 1 : -1;
}

function isDomainOrLiteral(text: string): boolean {
  return text.startsWith("[") ? isAddressLiteral(text) : isDomain(text);
}

function endOfRoute(text: string, start: number): number {
  let inLiteral = false;
  for (let i = start; i < text.length; i++) {
    const char = text[i];
    if (char === "[") inLiteral = true;
    else if (char === "]") inLiteral = false;
    else if (char === ">") return -1;
    else if (char === ":" && !inLiteral) return i;
  }
  return -1;
}

function endOfQuotedString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === '"') return i + 1;
  }
  return -1;
}

function endOfDotString(text: string, start: number): number {
  let i = start;
  while (i < text.length && text[i] !== "@" && text[i] !== ">") i++;
  return i;
}

function endOfDomain(text: string, start: number): number {
  // The content of an address literal may hold ">".
  const literalEnd = text[start] === "[" ? text.indexOf("]", start) : start;
  return literalEnd < 0 ? -1 : text.indexOf(">", literalEnd);
}

function normalizeDomain(domain: string): string {
  // One spelling of many (RFC 5895): lower case, Normalization Form C, plain full stops.
  return needsSmtpUtf8(domain) ? domainToUnicode(domainToAscii(domain) ?? domain) : domain.toLowerCase();
}

function normalizeLocalPart(written: string): string | undefined {
  if (!written.startsWith('"')) return isDotString(written) ? written : undefined;
  const content = written.slice(1, -1).replace(/\\(.)/g, "$1");
  return isDotString(content) ? content : `"${content.replace(/["\\]/g, "\\$&")}"`;
}

const encoder = new TextEncoder();

function octets(text: string): number {
  return needsSmtpUtf8(text) ? encoder.encode(text).length : text.length;
}

function failed(problem: string): PathResult {
  return { kind: "error", problem };
}
