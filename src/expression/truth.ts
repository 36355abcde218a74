/** Which expressions give only `true` or `false`, as far as that can be told without evaluating them. */

import type { Node } from "./ast.ts";

/** Functions whose result is a boolean. */
const TESTS: ReadonlySet<string> = new Set([
  "is_local_domain",
  "is_local_address",
  "key_exists",
  "key_set",
  "matches",
  "is_lowercase",
  "is_uppercase",
  "has_digits",
  "contains",
  "contains_ignore_case",
  "eq_ignore_case",
  "starts_with",
  "ends_with",
  "is_intersect",
  "is_email",
  "is_empty",
  "is_number",
  "is_ip_addr",
  "is_ipv4_addr",
  "is_ipv6_addr",
]);

const COMPARISONS: ReadonlySet<string> = new Set(["<", "<=", ">", ">=", "==", "!=", "^"]);

/** Whether the expression gives only `true` or `false`. */
export function givesTruth(node: Node): boolean {
  switch (node.kind) {
    case "logical":
      return true;
    case "name":
      // The only variable that is one.
      return node.name === "is_tls";
    case "literal":
      return typeof node.value === "boolean";
    case "unary":
      return node.operator === "!";
    case "binary":
      return COMPARISONS.has(node.operator);
    case "call":
      return node.name === "if_then" ? node.args.slice(1).every(givesTruth) : TESTS.has(node.name);
    default:
      return false;
  }
}
