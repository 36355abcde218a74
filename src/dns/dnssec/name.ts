/**
 * Names as DNSSEC compares and signs them (RFC 4034 §6.1, §6.2). A name is text: lower case, labels with dots between
 * them, `""` for the root; octets that are no letters, digits or the like are written `\DDD`, so that a dot always
 * stands between labels.
 */

const LONGEST_NAME = 255;
// A pointer leads backwards; a chain of more than this many is no honest compression.
const MOST_POINTERS = 64;

/** A name read from a message, and where what follows it begins. */
export interface ReadName {
  readonly name: string;
  readonly next: number;
}

/**
 * Reads a name, compressed or not (RFC 1035 §4.1.4).
 *
 * @throws {RangeError} if there is none
 */
export function readName(bytes: Uint8Array, at: number): ReadName {
  const labels: string[] = [];
  let next: number | undefined;
  let length = 1;
  for (let pointers = 0;;) {
    const size = bytes[at];
    if (size === undefined) throw new RangeError("a name ends too early");
    if (size === 0) return { name: labels.join("."), next: next ?? at + 1 };
    if (size >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined || ++pointers > MOST_POINTERS) throw new RangeError("a name points nowhere");
      next ??= at + 2;
      at = (size & 0x3f) * 256 + low;
      continue;
    }
    if (size > 63 || at + 1 + size > bytes.length) throw new RangeError("a label is too long");
    length += size + 1;
    if (length > LONGEST_NAME) throw new RangeError("a name is too long");
    labels.push(labelText(bytes, at + 1, at + 1 + size));
    at += size + 1;
  }
}

function labelText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) {
    let octet = bytes[at] ?? 0;
    if (octet >= 0x41 && octet <= 0x5a) octet += 0x20;
    text += octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c
      ? String.fromCharCode(octet)
      : `\\${String(octet).padStart(3, "0")}`;
  }
  return text;
}

/** The octets of a label. */
function labelOctets(label: string): number[] {
  const octets: number[] = [];
  for (let at = 0; at < label.length; at++) {
    if (label[at] === "\\") {
      octets.push(Number(label.slice(at + 1, at + 4)));
      at += 3;
    } else octets.push(label.charCodeAt(at));
  }
  return octets;
}

/** The labels of a name, leftmost first; none for the root. */
export function labelsOf(name: string): readonly string[] {
  return name === "" ? [] : name.split(".");
}

/** The name made of the last `count` labels. */
export function lastLabels(name: string, count: number): string {
  const labels = labelsOf(name);
  return labels.slice(Math.max(0, labels.length - count)).join(".");
}

/** The name above; the root is above itself. */
export function parentOf(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}

/** Whether `name` is `ancestor` or below it. */
export function isWithin(name: string, ancestor: string): boolean {
  return ancestor === "" || name === ancestor || name.endsWith(`.${ancestor}`);
}

/** The wildcard below a name. */
export function wildcardOf(name: string): string {
  return name === "" ? "*" : `*.${name}`;
}

/** The wire form, without compression. */
export function toWire(name: string): Uint8Array {
  const octets: number[] = [];
  for (const label of labelsOf(name)) {
    const own = labelOctets(label);
    octets.push(own.length, ...own);
  }
  octets.push(0);
  return Uint8Array.from(octets);
}

/** The canonical order of RFC 4034 §6.1: by labels from the right, as octets. */
export function compareNames(a: string, b: string): number {
  const left = labelsOf(a);
  const right = labelsOf(b);
  for (let i = 1; i <= Math.min(left.length, right.length); i++) {
    const order = compareOctets(labelOctets(left.at(-i) ?? ""), labelOctets(right.at(-i) ?? ""));
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Order as left-justified octet strings; what is missing comes first. */
export function compareOctets(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = (a[i] ?? 0) - (b[i] ?? 0);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** A name as a configuration or a question has it. */
export function nameFromText(text: string): string {
  const lower = text.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
