/**
 * A tar archive (POSIX.1-1988 ustar) in memory. Owners and times are fixed, so equal files give equal bytes and a
 * build can be repeated.
 */

/** A file to put into an archive. */
export interface ArchiveFile {
  /** Path inside the archive, at most 100 octets. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

const BLOCK = 512;
const encoder = new TextEncoder();

/** The archive's bytes. Folders come before what is in them. */
export function tar(files: readonly ArchiveFile[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const folder of foldersOf(files)) {
    parts.push(header(`${folder}/`, 0, 0o755, "5"));
  }
  for (const file of files) {
    parts.push(header(file.path, file.bytes.length, file.executable ? 0o755 : 0o644, "0"));
    parts.push(file.bytes, new Uint8Array((BLOCK - file.bytes.length % BLOCK) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return concatenate(parts);
}

/** Joins byte arrays. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function foldersOf(files: readonly ArchiveFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    const names = path.split("/").slice(0, -1);
    names.forEach((_, depth) => folders.add(names.slice(0, depth + 1).join("/")));
  }
  return [...folders].sort();
}

function header(path: string, size: number, mode: number, type: string): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => block.set(encoder.encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  if (encoder.encode(path).length > 100) throw new Error(`the path ${path} is too long for the archive`);
  put(path, 0);
  put(octal(mode, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size, 11), 124);
  put(octal(0, 11), 136);
  // The checksum is taken with its own field full of blanks.
  put("        ", 148);
  put(type, 156);
  put("ustar\u000000", 257);
  put(`${octal(block.reduce((sum, octet) => sum + octet, 0), 6)}\0 `, 148);
  return block;
}
