/** The reply that `reject` and `ereject` ask for. */

import { type Reply, reply } from "../../smtp/mod.ts";

/** `451 4.7.1 Later`: a code, and an enhanced code (RFC 3463 §2) of the same class. */
const WITH_CODES = /^([45])([0-5]\d) (\1\.\d{1,3}\.\d{1,3})(?: |$)/;

/** Reads the text of a refusal: with codes of its own, or under `550 5.7.1`. */
export function refusalOf(text: string): Reply {
  const whole = text.trim();
  const [head = "", kind = "", rest = "", enhanced = ""] = WITH_CODES.exec(whole) ?? [];
  const lines = whole.slice(head.length).split(/\r?\n/).map((line) => line.trimEnd());
  const shown = lines.every((line) => line === "") ? ["Refused by a rule of this server"] : lines;
  return head === "" ? reply(550, "5.7.1", ...shown) : reply(Number(kind + rest), enhanced, ...shown);
}
