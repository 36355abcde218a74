/** Whether a statement is a question, whose answer is rows, or changes something. */

// Strings, quoted names and comments are skipped; what is left are brackets and words.
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|([()])|([A-Za-z_][A-Za-z_0-9]*)/g;

const QUESTIONS: ReadonlySet<string> = new Set(["select", "values", "pragma", "explain"]);
const CHANGES: ReadonlySet<string> = new Set(["insert", "update", "delete", "replace"]);

/**
 * Whether `sql` asks for rows. The verb of a statement that begins with WITH stands behind its tables, outside of all
 * brackets.
 */
export function givesRows(sql: string): boolean {
  let depth = 0;
  let first = true;
  for (const [, bracket, word] of sql.matchAll(TOKEN)) {
    if (bracket !== undefined) {
      depth += bracket === "(" ? 1 : -1;
    } else if (word !== undefined) {
      const verb = word.toLowerCase();
      if (first && verb !== "with") return QUESTIONS.has(verb);
      if (depth === 0 && QUESTIONS.has(verb)) return true;
      if (depth === 0 && CHANGES.has(verb)) return false;
      first = false;
    }
  }
  return false;
}
