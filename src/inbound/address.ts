/** Addresses that expressions compute. */

import { parsePath } from "../smtp/mod.ts";

/** The address in the form the rest of the program uses, or nothing if the text is no address. */
export function asAddress(text: string): string | undefined {
  const bracketed = `<${text}>`;
  const parsed = parsePath(bracketed, 0, "forward");
  return parsed.kind === "path" && parsed.end === bracketed.length && parsed.path.includes("@")
    ? parsed.path
    : undefined;
}
