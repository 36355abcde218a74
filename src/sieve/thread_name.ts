/** Subjects without what replies and forwards put around them (`thread_name`, RFC 5256 §2.1). */

const BLANKS = /\s+/g;
/** `Re:`, `Fwd:` and their kin in languages in use, with a number or blob as some programs add: `Re[2]:`. */
const PREFIX =
  /^(?:re|r|ref|rif|fw|fwd|aw|antw|antwort|wg|sv|vs|vb|vl|odp|pd|tr|rv|enc|res|ynt|atb|bls|回复|回覆|转发|轉寄|返信|転送)\s*(?:\[[^\]]*\])?\s*[:：]/i;
/** `[list]` in front of something else. */
const BLOB = /^\[[^[\]]*\]/;
const TRAILER = /\s*\((?:fwd|fw)\)$/i;
const WRAPPED = /^\[\s*fwd?:(.*)\]$/i;

/** Layers that are taken off at most; a stranger chooses how many there are. */
const MOST_LAYERS = 100;
const LONGEST_TRAILER = 8;

/** The subject of the thread that a message belongs to. */
export function threadName(subject: string): string {
  let text = subject.replace(BLANKS, " ").trim();
  for (let layer = 0; layer < MOST_LAYERS; layer++) {
    const before = text;
    const end = Math.max(0, text.length - LONGEST_TRAILER);
    text = text.slice(0, end) + text.slice(end).replace(TRAILER, "");
    text = text.replace(PREFIX, "").trimStart();
    const rest = text.replace(BLOB, "").trimStart();
    // RFC 5256 §2.1 (5): a blob that is all there is stays.
    if (rest !== "") text = rest;
    text = WRAPPED.exec(before)?.[1]?.trim() ?? text;
    if (text === before) break;
  }
  return text.trim();
}
