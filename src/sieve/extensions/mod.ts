/** All extensions. A new one is a file beside this one and a line in this list. */

import type { Extension } from "../definition.ts";
import { body } from "./body.ts";
import { comparators } from "./comparators.ts";
import { copy } from "./copy.ts";
import { encodedCharacter } from "./encoded_character.ts";
import { envelope } from "./envelope.ts";
import { fileinto } from "./fileinto.ts";
import { include } from "./include.ts";
import { reject } from "./reject.ts";
import { relational } from "./relational.ts";
import { variables } from "./variables.ts";

export const EXTENSIONS: readonly Extension[] = [
  ...body,
  ...comparators,
  ...copy,
  ...encodedCharacter,
  ...envelope,
  ...fileinto,
  ...include,
  ...reject,
  ...relational,
  ...variables,
];
