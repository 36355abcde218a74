/** Compresses what comes in pieces, up to a size. */

/**
 * The pieces in gzip format (RFC 1952), or the number of octets that there are at least, as soon as it is sure that they
 * are more than `most`.
 *
 * @throws what `pieces` throws
 */
export async function gzip(pieces: AsyncIterable<string>, most = Infinity): Promise<Uint8Array | number> {
  const encoder = new TextEncoder();
  const compression = new CompressionStream("gzip");
  const writer = compression.writable.getWriter();
  const out: Uint8Array[] = [];
  let size = 0;
  const reading = (async () => {
    for await (const chunk of compression.readable) {
      size += chunk.length;
      if (size <= most) out.push(chunk);
    }
  })();
  try {
    for await (const piece of pieces) {
      await writer.write(encoder.encode(piece));
      if (size > most) break;
    }
    await writer.close();
    await reading;
  } catch (error) {
    reading.catch(() => {});
    await writer.abort(error).catch(() => {});
    throw error;
  }
  if (size > most) return size;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of out) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
