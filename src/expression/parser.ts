/** Reads an expression into a tree, by precedence climbing. */

import type { BinaryOperator, Node } from "./ast.ts";
import { type Symbol, SyntaxProblem, type Token, tokenize } from "./lexer.ts";

/** Longest expression, in UTF-16 units. */
export const LONGEST_EXPRESSION = 65_536;

/** Deepest tree: bounds the stack that parsing, compiling and evaluating need. */
export const DEEPEST_NESTING = 200;

// A higher number binds tighter. Unary operators bind tighter than all of these, calls and indexes tighter than those.
const PRECEDENCE: Readonly<Partial<Record<Symbol, number>>> = {
  "||": 1,
  "&&": 2,
  "^": 3,
  "==": 4,
  "!=": 4,
  "<": 5,
  "<=": 5,
  ">": 5,
  ">=": 5,
  "+": 6,
  "-": 6,
  "*": 7,
  "/": 7,
};

/**
 * Parses `source`.
 *
 * @param dotted whether names may have dots in them
 * @throws {SyntaxProblem} at the first thing that is no expression, or if it is too long or nested too deeply
 */
export function parse(source: string, dotted = false): Node {
  if (source.length > LONGEST_EXPRESSION) {
    throw new SyntaxProblem(`the expression is longer than ${LONGEST_EXPRESSION} characters`, 0);
  }
  const parser = new Parser(tokenize(source, dotted));
  return parser.whole();
}

/** A node and how deep the tree below it is. */
interface Parsed {
  readonly node: Node;
  readonly depth: number;
}

class Parser {
  #next = 0;
  #open = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Node {
    if (this.#peek().kind === "end") throw new SyntaxProblem("the expression is empty; empty text is written ''", 0);
    const { node } = this.#expression(1);
    const rest = this.#peek();
    if (rest.kind !== "end") {
      throw new SyntaxProblem(`expected an operator or the end, found ${describe(rest)}`, rest.position);
    }
    return node;
  }

  #peek(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw new Error("read past the end of the tokens");
    return token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== "end") this.#next++;
    return token;
  }

  #isSymbol(symbol: Symbol): boolean {
    const token = this.#peek();
    return token.kind === "symbol" && token.value === symbol;
  }

  #expect(symbol: Symbol, opened: number): void {
    const token = this.#take();
    if (token.kind === "symbol" && token.value === symbol) return;
    const open = symbol === ")" ? "(" : "[";
    throw new SyntaxProblem(
      `expected '${symbol}' for the '${open}' at character ${opened + 1}, found ${describe(token)}`,
      token.position,
    );
  }

  #deeper(depth: number, position: number): number {
    if (depth >= DEEPEST_NESTING) {
      throw new SyntaxProblem(`the expression is nested deeper than ${DEEPEST_NESTING} levels`, position);
    }
    return depth + 1;
  }

  /** Runs `read` one level of recursion down; the stack is finite even when the tree would not be deep. */
  #nested<T>(position: number, read: () => T): T {
    this.#open = this.#deeper(this.#open, position);
    const result = read();
    this.#open--;
    return result;
  }

  #expression(lowest: number): Parsed {
    let left = this.#unary();
    while (true) {
      const token = this.#peek();
      if (token.kind !== "symbol") return left;
      const precedence = PRECEDENCE[token.value];
      if (precedence === undefined || precedence < lowest) return left;
      this.#take();
      // Binary operators group from the left: the right side holds only what binds tighter.
      const right = this.#nested(token.position, () => this.#expression(precedence + 1));
      left = this.#join(token.value, token.position, left, right);
    }
  }

  #join(symbol: Symbol, position: number, left: Parsed, right: Parsed): Parsed {
    if (symbol === "&&" || symbol === "||") {
      if (left.node.kind === "logical" && left.node.operator === symbol) {
        left.node.items.push(right.node);
        return { node: left.node, depth: Math.max(left.depth, this.#deeper(right.depth, position)) };
      }
      const node: Node = { kind: "logical", position, operator: symbol, items: [left.node, right.node] };
      return { node, depth: this.#deeper(Math.max(left.depth, right.depth), position) };
    }
    const operator = symbol as BinaryOperator;
    const node: Node = { kind: "binary", position, operator, left: left.node, right: right.node };
    return { node, depth: this.#deeper(Math.max(left.depth, right.depth), position) };
  }

  #unary(): Parsed {
    const token = this.#peek();
    if (token.kind !== "symbol" || (token.value !== "!" && token.value !== "-")) return this.#postfix();
    const operator = token.value;
    this.#take();
    const operand = this.#nested(token.position, () => this.#unary());
    if (operator === "-" && operand.node.kind === "literal" && typeof operand.node.value === "number") {
      return { node: { ...operand.node, position: token.position, value: 0 - operand.node.value }, depth: 1 };
    }
    const node: Node = { kind: "unary", position: token.position, operator, operand: operand.node };
    return { node, depth: this.#deeper(operand.depth, token.position) };
  }

  #postfix(): Parsed {
    let value = this.#primary();
    while (this.#isSymbol("[")) {
      const { position } = this.#take();
      const index = this.#nested(position, () => this.#expression(1));
      this.#expect("]", position);
      const node: Node = { kind: "index", position, array: value.node, index: index.node };
      value = { node, depth: this.#deeper(Math.max(value.depth, index.depth), position) };
    }
    return value;
  }

  #primary(): Parsed {
    const token = this.#take();
    switch (token.kind) {
      case "number":
      case "text":
        return { node: { kind: "literal", position: token.position, value: token.value }, depth: 1 };
      case "capture":
        return { node: { kind: "capture", position: token.position, group: token.value }, depth: 1 };
      case "name":
        return this.#name(token.value, token.position);
      case "symbol":
        if (token.value === "(") {
          const inner = this.#nested(token.position, () => this.#expression(1));
          this.#expect(")", token.position);
          return inner;
        }
        if (token.value === "[") {
          const { items, depth } = this.#items("]", token.position);
          return { node: { kind: "array", position: token.position, items }, depth };
        }
        break;
      case "end":
        break;
    }
    throw new SyntaxProblem(`expected a value, found ${describe(token)}`, token.position);
  }

  #name(name: string, position: number): Parsed {
    if (this.#isSymbol("(")) {
      const opened = this.#take().position;
      const { items, depth } = this.#items(")", opened);
      return { node: { kind: "call", position, name, args: items }, depth };
    }
    if (name === "true" || name === "false") {
      return { node: { kind: "literal", position, value: name === "true" }, depth: 1 };
    }
    return { node: { kind: "name", position, name }, depth: 1 };
  }

  #items(closing: ")" | "]", opened: number): { items: readonly Node[]; depth: number } {
    const items: Node[] = [];
    let depth = 0;
    if (this.#isSymbol(closing)) {
      this.#take();
      return { items, depth: 1 };
    }
    while (true) {
      const item = this.#nested(opened, () => this.#expression(1));
      items.push(item.node);
      depth = Math.max(depth, item.depth);
      if (!this.#isSymbol(",")) break;
      this.#take();
    }
    this.#expect(closing, opened);
    return { items, depth: this.#deeper(depth, opened) };
  }
}

function describe(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end of the expression";
    case "text":
      return "a text";
    case "capture":
      return `'$${token.value}'`;
    case "number":
    case "name":
    case "symbol":
      return `'${token.value}'`;
  }
}
