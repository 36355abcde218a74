/** The `hash` function. */

import { createHash } from "node:crypto";
import { textOf, TypeMismatch } from "../value.ts";
import { binary, oneOf, type PureFunction } from "./function.ts";

const ALGORITHMS = ["md5", "sha1", "sha256", "sha512"] as const;

/** Digest functions, by name. */
export const HASH_FUNCTIONS: Readonly<Record<string, PureFunction>> = {
  hash: binary(
    (text, algorithm) => {
      const name = ALGORITHMS.find((known) => known === algorithm);
      if (name === undefined) throw new TypeMismatch(`unknown hash algorithm; known: ${ALGORITHMS.join(", ")}`);
      return createHash(name).update(textOf(text), "utf8").digest("hex");
    },
    undefined,
    oneOf(ALGORITHMS),
  ),
};
