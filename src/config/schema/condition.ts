/** Building blocks of defaults that are expressions. */

import type { Source } from "./spec.ts";

/** The session came in on the port for mail exchange. */
export const MX = "listener == 'smtp' || local_port == 25";

/** The session came in by SMTP to submit mail. */
export const SUBMIT = `protocol == 'smtp' && !(${MX})`;

export const AUTHENTICATED = "!is_empty(authenticated_as)";

/** `result` if `condition`, else `otherwise`. */
export function when(condition: string, result: Source, otherwise: Source): Source {
  return [{ if: condition, then: result }, { else: otherwise }];
}

/** A text as a constant of the expression language. */
export function textConstant(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t")}'`;
}
