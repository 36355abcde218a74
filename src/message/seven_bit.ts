/** Rewriting a message so that it passes wherever mail goes: 7 bits, lines that are not too long (RFC 2045 §6, RFC 6152). */

import type { Content } from "./content.ts";
import { foldField } from "./field.ts";
import { countFields, type ParsedHeader } from "./header.ts";
import { editHeader } from "./header_editor.ts";
import { eightBitClean } from "./memory_content.ts";
import { type MimeEntity, type MimeVisitor, walkMime } from "./mime_walk.ts";
import { base64Encoder, quotedPrintableEncoder, type TransferEncoder } from "./transfer_encoding.ts";

const CR = 0x0d;
const LF = 0x0a;

/** RFC 5322 §2.1.1, without the line end. */
const LONGEST_LINE = 998;

/** How one leaf is to be rewritten. */
export interface LeafPlan {
  readonly encoding: "quoted-printable" | "base64";
  /** What its text seems to be in; for a message that does not say so. */
  readonly charset: "utf-8" | "unknown-8bit";
}

/** How a message is to be rewritten. */
export interface SevenBitPlan {
  /** The leaves that get an encoding, by their ordinals. */
  readonly leaves: ReadonlyMap<number, LeafPlan>;
  /** What will be left, in a header or in a part that must stay as it is; `7bit` if all is well then. */
  readonly left: "7bit" | "8bitmime" | "binarymime";
}

/**
 * Finds out whether, and how, a message has to be rewritten: `undefined` if every line can pass as it is, or if nothing
 * can be done about those that cannot. Parts that are signed (RFC 1847) or encoded already are left alone.
 *
 * @throws what reading the content throws
 */
export async function planSevenBit(content: Content, options: { readonly binary: boolean }): Promise<
  SevenBitPlan | undefined
> {
  if (!options.binary && !await isDoubtful(content)) return undefined;
  const leaves = new Map<number, LeafPlan>();
  let decoder = new TextDecoder("utf-8", { fatal: true });
  let utf8 = true;
  let needed = false;
  let left: SevenBitPlan["left"] = "7bit";
  let column = 0;
  await walk(content, {
    entity({ head }) {
      if (left === "7bit" && !eightBitClean(head)) left = "8bitmime";
      if (!utf8) decoder = new TextDecoder("utf-8", { fatal: true });
      utf8 = true;
      needed = false;
    },
    content(line, _, end, starts) {
      column = (starts ? 0 : column) + line.length - end;
      utf8 &&= isUtf8(decoder, line);
      needed ||= column > LONGEST_LINE || !eightBitClean(line) || isBinary(line, end);
    },
    leave(entity) {
      utf8 &&= isUtf8(decoder, undefined);
      if (!needed) return;
      leaves.set(entity.ordinal, {
        encoding: /^(?:text|message)\//.test(entity.type) ? "quoted-printable" : "base64",
        charset: utf8 ? "utf-8" : "unknown-8bit",
      });
    },
    other(line, end) {
      if (isBinary(line, end)) left = "binarymime";
      else if (left === "7bit" && !eightBitClean(line)) left = "8bitmime";
    },
  });
  return leaves.size === 0 ? undefined : { leaves, left };
}

/**
 * Writes the message as the plan has it.
 *
 * @param write takes the octets, which are valid until it returns; a promise it gives is awaited before more is read
 * @throws what reading the content or `write` throws
 */
export async function writeSevenBit(
  content: Content,
  plan: SevenBitPlan,
  write: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  let waiting: void | Promise<void>;
  const put = (bytes: Uint8Array) => {
    const next = write(bytes);
    if (next !== undefined) waiting = waiting === undefined ? next : Promise.all([waiting, next]).then(() => {});
  };
  let encoder: TransferEncoder | undefined;
  const visitor: MimeVisitor = {
    entity(entity) {
      const leaf = plan.leaves.get(entity.ordinal);
      put(leaf === undefined ? relabelled(entity, plan) : encodedHead(entity, leaf));
      if (leaf?.encoding === "base64") encoder = base64Encoder(put);
      if (leaf?.encoding === "quoted-printable") encoder = quotedPrintableEncoder(put);
    },
    content(line, _, end, starts) {
      if (encoder === undefined) put(line);
      else encoder.line(line, end, starts);
    },
    other: put,
    leave(_, atBoundary) {
      encoder?.finish(atBoundary);
      encoder = undefined;
    },
  };
  await walk(content, visitor, async () => {
    await waiting;
    waiting = undefined;
  });
}

async function walk(content: Content, visitor: MimeVisitor, after?: () => Promise<void>): Promise<void> {
  const walker = walkMime(visitor);
  if (content.complete) {
    walker.push(content.head);
  } else {
    for await (const chunk of content.chunks()) {
      walker.push(chunk);
      await after?.();
    }
  }
  walker.finish();
  await after?.();
}

/** The header of an entity that is encoded now. */
function encodedHead({ head, header, isMessage }: MimeEntity, { encoding, charset }: LeafPlan): Uint8Array {
  const editor = editHeader(head, header);
  if (isMessage && countFields(header, "mime-version") === 0) editor.append(foldField("MIME-Version", "1.0"));
  if (isMessage && countFields(header, "content-type") === 0) {
    editor.append(foldField("Content-Type", `text/plain; charset=${charset}`));
  }
  label(editor, encoding);
  return editor.result();
}

/** The header of an entity that only holds what is encoded, or needs no encoding: what it said may be too much now. */
function relabelled({ head, header, kind, encoding }: MimeEntity, { left }: SevenBitPlan): Uint8Array {
  if (left !== "7bit" || kind === "opaque" || encoding === "7bit") return head;
  const editor = editHeader(head, header);
  label(editor, "7bit");
  return editor.result();
}

function label(editor: ReturnType<typeof editHeader>, encoding: string): void {
  const field = foldField("Content-Transfer-Encoding", encoding);
  if (!editor.replace("content-transfer-encoding", 0, field)) editor.append(field);
  while (editor.count("content-transfer-encoding") > 1) editor.delete("content-transfer-encoding", -1);
}

/** Whether there may be something to rewrite; cheap, as most messages are plain. */
async function isDoubtful(content: Content): Promise<boolean> {
  const doubt = createDoubt();
  if (content.complete) return doubt(content.head);
  for await (const chunk of content.chunks()) if (doubt(chunk)) return true;
  return false;
}

/** Looks at chunks in their order: 8 bits, NUL, or a line that may be too long. */
function createDoubt(): (bytes: Uint8Array) => boolean {
  let column = 0;
  return (bytes) => {
    if (!eightBitClean(bytes) || bytes.includes(0)) return true;
    let start = -column;
    // From the farthest place where the line may end back to a place where it does.
    while (start + LONGEST_LINE + 2 <= bytes.length) {
      const end = bytes.lastIndexOf(LF, start + LONGEST_LINE + 1);
      if (end < Math.max(0, start)) return true;
      start = end + 1;
    }
    column = bytes.length - start;
    const last = bytes.lastIndexOf(LF);
    if (last >= 0) column = bytes.length - 1 - last;
    return false;
  };
}

/** Whether a line holds what only binary content does: NUL, or CR or LF inside it. */
function isBinary(line: Uint8Array, end: number): boolean {
  const inside = line.subarray(0, line.length - end);
  return inside.includes(0) || inside.includes(LF) || inside.includes(CR);
}

/** Whether octets go on as UTF-8, or have ended as such; false for good once they did not. */
function isUtf8(decoder: TextDecoder, bytes: Uint8Array | undefined): boolean {
  try {
    if (bytes === undefined) decoder.decode();
    else decoder.decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether a message carries signatures that a rewritten body would break. */
export function isSigned(header: ParsedHeader): boolean {
  return header.fields.some(({ lower }) => lower === "dkim-signature" || lower === "arc-message-signature");
}
