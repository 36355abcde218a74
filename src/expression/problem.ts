/** What is wrong with an expression, found at load. */

/** One problem. Several may be found in one setting. */
export interface ExpressionProblem {
  /** What is wrong and what would be right: a sentence without final full stop. */
  readonly message: string;
  /** Offset in the expression's text, from 0, in UTF-16 units; 0 if the problem is the value as a whole. */
  readonly position: number;
  /** The expression's text, empty if the value was no text. */
  readonly source: string;
  /** Index of the item in an if/then/else list, from 0. */
  readonly item?: number;
  /** Key inside that item. */
  readonly part?: "if" | "then" | "else";
}

/** Thrown while one expression is read; settings collect these. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
  constructor(readonly problems: readonly ExpressionProblem[]) {
    super(problems.map(formatProblem).join("\n"));
  }
}

const SHOWN = 60;

/** One line for people: item, column (from 1) and message, with the text around the place. */
export function formatProblem(problem: ExpressionProblem): string {
  const where: string[] = [];
  if (problem.item !== undefined) where.push(`item ${problem.item + 1}`);
  if (problem.part !== undefined) where.push(`"${problem.part}"`);
  if (problem.source !== "") where.push(`character ${problem.position + 1} of ${excerpt(problem)}`);
  return where.length === 0 ? problem.message : `${problem.message} (${where.join(", ")})`;
}

function excerpt(problem: ExpressionProblem): string {
  const { source, position } = problem;
  if (source.length <= SHOWN) return JSON.stringify(source);
  const start = Math.max(0, Math.min(position - SHOWN / 2, source.length - SHOWN));
  const end = start + SHOWN;
  return `${start > 0 ? "…" : ""}${JSON.stringify(source.slice(start, end))}${end < source.length ? "…" : ""}`;
}
