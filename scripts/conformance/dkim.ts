/**
 * Verifies the signed messages that RFC 6376 (appendix A) and RFC 8463 (appendix A) print, with the keys they print. The
 * texts of the RFCs are kept outside of this repository.
 *
 * deno run -A scripts/conformance/dkim.ts PATH-OF-rfc6376.txt PATH-OF-rfc8463.txt
 *
 * A message is a block of indented lines that begins with DKIM-Signature; a key is a TXT record of a zone file. Keys go
 * by their selector alone: RFC 6376 signs for example.com and publishes the key under example.org.
 */

import { type DkimResult, verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { createZone } from "../../tests/support/zone.ts";

/** The lines of an RFC without page breaks, running heads and the indentation of examples. */
function linesOf(text: string): string[] {
  const pages = text.replace(/\n*[^\n]*\[Page \d+\]\n(?:\f?\n*RFC \d+[^\n]*\n+)?/g, "\n\n");
  return pages.split("\n").map((line) =>
    line.startsWith("   ") ? line.slice(3).trimEnd() : line === "" ? "" : `\0${line}`
  );
}

/** Examples end at a caption, or at the next line of running text, which is not indented as much or a heading. */
function messagesOf(lines: readonly string[]): string[] {
  const messages: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!/^DKIM-Signature:/.test(lines[at] ?? "") || lines[at - 1] !== "") continue;
    let end = at;
    while (end < lines.length && !/^\0|^ *Figure \d/.test(lines[end] ?? "")) end++;
    const signature = lines.slice(at, end);
    // The signature of Joe ends the message of both RFCs; what follows it explains.
    const last = signature.indexOf("Joe.");
    if (last >= 0) messages.push(corrected(signature.slice(0, last + 1).join("\r\n") + "\r\n"));
    at = end;
  }
  return messages;
}

/**
 * Errata 3192 and 4926 of RFC 6376: setting the text for print doubled the blank after a full stop, and took one from
 * the folds. RFC 8463 prints relaxed signatures, which do not notice.
 */
function corrected(message: string): string {
  return message.replaceAll("game.  Are", "game. Are").replace(/\r\n {5}(?=\S)/g, "\r\n      ");
}

function keysOf(text: string): Map<string, string> {
  const keys = new Map<string, string>();
  for (const [, name = "", strings = ""] of text.matchAll(/^\s*(\S+)\s+IN\s+TXT\s+\(((?:\s*"[^"]*")+)\s*\)/gm)) {
    const selector = name.split(".")[0] ?? "";
    keys.set(selector, [...strings.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join(""));
  }
  return keys;
}

if (Deno.args.length === 0) {
  console.error("usage: deno run -A scripts/conformance/dkim.ts PATH-OF-rfc6376.txt PATH-OF-rfc8463.txt");
  Deno.exit(2);
}
let passed = 0;
let all = 0;
for (const path of Deno.args) {
  const text = await Deno.readTextFile(path);
  const keys = keysOf(text);
  const none = createZone({});
  const txt = (name: string) => {
    const key = keys.get(name.split(".")[0] ?? "");
    return createZone(key === undefined ? {} : { [name]: { txt: [key] } }).txt(name);
  };
  for (const message of messagesOf(linesOf(text))) {
    const bytes = new TextEncoder().encode(message);
    const { dkim = [] } = await verifySignatures(
      { content: memoryContent(bytes), header: parseHeader(bytes) },
      { dkim: true, arc: false, strict: false },
      { resolver: { ...none, txt }, now: Date.now, random: Math.random },
    );
    all += dkim.length;
    passed += dkim.filter(({ result }) => result === "pass").length;
    for (const result of dkim) console.log(`${path}: ${describe(result)}`);
  }
}
console.log(`${passed} of ${all} passed`);
if (passed < all || all === 0) Deno.exit(1);

function describe({ algorithm, selector, domain, result, reason }: DkimResult): string {
  return `${algorithm} by ${selector} of ${domain}: ${result}${reason === undefined ? "" : ` (${reason})`}`;
}
