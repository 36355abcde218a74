/** Files that Sieve commands read. */

import { dirname, resolve } from "node:path";
import { reasonOf } from "../config/mod.ts";
import { type Output, printable } from "./output.ts";

/** The text of a script; undefined, told, if it cannot be read. */
export async function readScript(file: string, output: Output): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    output.error(`${printable(file)}: ${reasonOf(error)}`);
    return undefined;
  }
}

/** The text of a file whose path is relative to that of another; undefined if there is none. */
export function readBeside(file: string, path: string): string | undefined {
  try {
    return Deno.readTextFileSync(resolve(dirname(file), path));
  } catch {
    return undefined;
  }
}
