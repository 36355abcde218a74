/** Text of strangers in the structured fields that authentication writes: it can neither end a value nor add a field. */

const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;
const DOT_ATOM = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*$/;
const ADDRESS =
  /^(?:[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*)?@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/** No value is longer than this many characters. */
const LONGEST = 320;

/** `value` of Authentication-Results (RFC 8601 §2.2): a token, or a quoted string. */
export function tokenOrQuoted(text: string): string {
  return text.length <= LONGEST && TOKEN.test(text) ? text : quoted(text);
}

/** `pvalue` of Authentication-Results (RFC 8601 §2.2): an address may stand as it is. */
export function propertyValue(text: string): string {
  return text.length <= LONGEST && (TOKEN.test(text) || ADDRESS.test(text)) ? text : quoted(text);
}

/** Value of a pair in Received-SPF (RFC 7208 §9.1): a dot-atom, or a quoted string. */
export function dotAtomOrQuoted(text: string): string {
  return text.length <= LONGEST && DOT_ATOM.test(text) ? text : quoted(text);
}

const NOTHING_TO_QUOTE = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  const short = text.slice(0, LONGEST);
  if (NOTHING_TO_QUOTE.test(short)) return `"${short}"`;
  return `"${short.replace(/\p{Cc}/gu, "?").replace(/["\\]/g, "\\$&")}"`;
}

const COMMENT = /^[ !-'*-[\]-~]*$/;

/** A comment without its parentheses: ASCII that cannot end or nest it. */
export function commentText(text: string): string {
  const short = text.slice(0, LONGEST);
  return COMMENT.test(short) ? short : short.replace(/[^ !-'*-[\]-~]/g, "?");
}

/** A quoted string in ASCII, for reasons. */
export function quotedAscii(text: string): string {
  return quoted(text.replace(/[^ -~]/g, "?"));
}
