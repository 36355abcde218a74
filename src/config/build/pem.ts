/** Reads values that are PEM text, or the path of a file with it. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { reasonOf } from "../macro.ts";
import { absolutePath, type BuildContext } from "./context.ts";

/** Keys of the configuration whose values are PEM. */
export type PemKey = "certificate.<id>.cert" | "certificate.<id>.private-key" | "signature.<id>.private-key";

/** The PEM text of a key; `undefined` after a report. */
export function readPem(context: BuildContext, pattern: PemKey, id: string): string | undefined {
  const { reader } = context;
  const text = reader.get(pattern, id);
  if (text === "" || text.includes("-----BEGIN ")) return text === "" ? undefined : text;
  // Several lines are no path: something that was meant as PEM must not end up in a message.
  if (text.includes("\n")) {
    reader.error(pattern, [id], "expected PEM text or the path of a PEM file, found text of another kind");
    return undefined;
  }
  try {
    return context.readFile(absolutePath(context, text));
  } catch (error) {
    const node = reader.node(pattern, id);
    const message = node?.kind === "scalar" && FILE_MACRO.test(node.macro?.written ?? "")
      ? `what the file of ${reader.found(pattern, id)} holds is neither PEM nor the path of a PEM file`
      : `cannot read the file ${reader.found(pattern, id)}: ${reasonOf(error)}`;
    reader.error(pattern, [id], message);
    return undefined;
  }
}

/** The private key in a PEM text; `undefined` after a report. */
export function readPrivateKey(
  { reader }: BuildContext,
  pattern: PemKey,
  id: string,
  pem: string,
): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    // The reasons of the library are of no help and may quote the text.
    const expected = "expected a private key in PEM, PKCS #8, #1 or SEC 1, not encrypted";
    reader.error(pattern, [id], `${expected}; the text could not be read as one`);
    return undefined;
  }
}

const OTHERS_MAY = 0o007;
const FILE_MACRO = /^%\{file:([^}]*)\}%$/;

/** Absolute path of the file that a text comes from; `undefined` if it is written in the configuration. */
export function fileOf(context: BuildContext, pattern: PemKey, id: string): string | undefined {
  const node = context.reader.node(pattern, id);
  if (node?.kind !== "scalar" || typeof node.value !== "string") return undefined;
  const path = FILE_MACRO.exec(node.macro?.written ?? "")?.[1] ??
    (node.value.includes("\n") || node.value.includes("-----BEGIN ") ? undefined : node.value);
  return path === undefined ? undefined : absolutePath(context, path);
}

/** Warns if the file that a secret comes from is open to every account of the machine. */
export function checkPermissions(context: BuildContext, pattern: PemKey, id: string): void {
  const path = fileOf(context, pattern, id);
  const mode = path === undefined ? undefined : context.fileMode(path);
  if (path === undefined || mode === undefined || (mode & OTHERS_MAY) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(3, "0");
  context.reader.warning(
    pattern,
    [id],
    `the file ${context.reader.found(pattern, id)} is open to every account of this machine (mode ${octal}); allow ` +
      "its owner alone, mode 600",
  );
}
