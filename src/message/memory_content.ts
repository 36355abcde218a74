/** A message that is wholly in memory. */

import type { Content } from "./content.ts";

/** {@link Content} of bytes in memory, which are not copied. */
export function memoryContent(bytes: Uint8Array): Content {
  return { size: bytes.length, head: bytes, complete: true, chunks: () => [bytes] };
}

/** Whether `bytes` can pass where only 7 bits do: no octet is above 127. */
export function eightBitClean(bytes: Uint8Array): boolean {
  const length = bytes.length;
  let i = 0;
  // Whole words where the memory is aligned for it.
  while (i < length && ((bytes.byteOffset + i) & 3) !== 0) if ((bytes[i++] as number) > 0x7f) return false;
  if (i === length) return true;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + i, (length - i) >>> 2);
  for (let word = 0; word < words.length; word++) if (((words[word] as number) & 0x80808080) !== 0) return false;
  for (i += words.length * 4; i < length; i++) if ((bytes[i] as number) > 0x7f) return false;
  return true;
}
