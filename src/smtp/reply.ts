/** SMTP replies (RFC 5321 §4.2) with enhanced status codes (RFC 3463, RFC 2034). */

/**
 * One reply. `text` holds one entry per line; `enhanced` (such as `"5.1.1"`) is put before each line.
 */
export interface Reply {
  readonly code: number;
  readonly enhanced?: string;
  readonly text: readonly string[];
}

/** Makes a {@link Reply}: `reply(550, "5.1.1", "No such user here")`. An empty `enhanced` means none. */
export function reply(code: number, enhanced: string, ...text: string[]): Reply {
  return enhanced === "" ? { code, text } : { code, enhanced, text };
}
