/** The tree that the parser builds and the compiler reads. */

import type { Symbol } from "./lexer.ts";

/** Operators with two operands, apart from the logical ones that may leave the right side unevaluated. */
export type BinaryOperator = Extract<
  Symbol,
  "*" | "/" | "+" | "-" | "<" | "<=" | ">" | ">=" | "==" | "!=" | "^"
>;

/** A part of an expression; `position` is the offset in the source that an error points at. */
export type Node =
  | { readonly kind: "literal"; readonly position: number; readonly value: string | number | boolean }
  | { readonly kind: "name"; readonly position: number; readonly name: string }
  | { readonly kind: "capture"; readonly position: number; readonly group: number }
  | { readonly kind: "array"; readonly position: number; readonly items: readonly Node[] }
  | { readonly kind: "call"; readonly position: number; readonly name: string; readonly args: readonly Node[] }
  | { readonly kind: "index"; readonly position: number; readonly array: Node; readonly index: Node }
  | { readonly kind: "unary"; readonly position: number; readonly operator: "!" | "-"; readonly operand: Node }
  | {
    readonly kind: "binary";
    readonly position: number;
    readonly operator: BinaryOperator;
    readonly left: Node;
    readonly right: Node;
  }
  /** A chain of `&&` or `||`, kept flat: long ones must not cost stack. */
  | { readonly kind: "logical"; readonly position: number; readonly operator: "&&" | "||"; readonly items: Node[] };
