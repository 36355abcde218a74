/** How commands print: tables for people, JSON for programs. */

/** Where a command writes. */
export interface Output {
  print(line: string): void;
  error(line: string): void;
  /** Writes octets to where `print` writes; resolves once they are taken. */
  write(bytes: Uint8Array): Promise<void>;
  /** Whether standard output is a terminal that wants colours. */
  readonly colours: boolean;
}

/** Standard output and standard error. Colours only on a terminal without `NO_COLOR` (no-color.org). */
export const terminal: Output = {
  print: (line) => console.log(line),
  error: (line) => console.error(line),
  async write(bytes) {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  },
  colours: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
};

/** Text that came from outside, made safe for a terminal: control characters show as escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Lays rows out in columns under bold headings. Empty `rows` gives the headings alone. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], output: Output): string[] {
  const safe = rows.map((row) => row.map(printable));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...safe.map((row) => (row[column] ?? "").length))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd();
  const head = line(headings);
  return [output.colours ? `\x1b[1m${head}\x1b[0m` : head, ...safe.map(line)];
}
