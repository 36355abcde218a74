/** Scripts as the parser reads them (RFC 5228 §8.2), before anything is known of what the names mean. */

import type { Position } from "./problem.ts";

/** One string as written: quoting and dot-stuffing are undone, `${…}` is not. Lines end in CRLF. */
export interface StringNode {
  readonly text: string;
  readonly at: Position;
}

/** An argument of a command or test. */
export type ArgumentNode =
  | { readonly kind: "string"; readonly text: string; readonly at: Position }
  | { readonly kind: "strings"; readonly items: readonly StringNode[]; readonly at: Position }
  | { readonly kind: "number"; readonly value: number; readonly at: Position }
  | { readonly kind: "tag"; readonly name: string; readonly at: Position };

/** A command or a test. */
export interface CallNode {
  /** In lower case: names have no case (RFC 5228 §2.2 and §2.9). */
  readonly name: string;
  readonly at: Position;
  readonly args: readonly ArgumentNode[];
  readonly tests: readonly CallNode[];
  /** Whether the tests stand in parentheses. */
  readonly testList: boolean;
  /** The commands between braces; undefined if the command ends with a semicolon, and for tests. */
  readonly block: readonly CallNode[] | undefined;
}
