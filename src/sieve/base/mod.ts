/** The base language: what needs no `require` (RFC 5228). */

import type { Extension } from "../definition.ts";
import { ASCII_CASEMAP, CONTAINS, IS, MATCHES, OCTET, UNICODE_CASEMAP } from "../match.ts";
import { ACTIONS } from "./actions.ts";
import { ADDRESS_PARTS } from "./address_part.ts";
import { LOGIC } from "./logic.ts";
import { MESSAGE_TESTS } from "./message_tests.ts";

export const base: Extension = {
  capability: "",
  commands: ACTIONS,
  tests: [...LOGIC, ...MESSAGE_TESTS],
  // The last one is asked for without require in scripts in use.
  comparators: [OCTET, ASCII_CASEMAP, UNICODE_CASEMAP],
  matchTypes: [IS, CONTAINS, MATCHES],
  addressParts: ADDRESS_PARTS,
};
