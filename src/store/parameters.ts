/**
 * How many arguments a statement takes. The binding layer keeps what a cached statement was given before, so a missing
 * argument would silently be the last caller's; counting first turns that into an error.
 */

// Strings, quoted names and comments are skipped; the alternatives after them are parameters.
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\?(\d*)|([:@$][A-Za-z_0-9]+)/g;

/** Number of positional arguments that `sql` takes: `?`, `?n`, and named ones once each, as SQLite numbers them. */
export function countParameters(sql: string): number {
  let highest = 0;
  const names = new Set<string>();
  for (const match of sql.matchAll(TOKEN)) {
    const [, number, name] = match;
    if (number !== undefined) {
      highest = number === "" ? highest + 1 : Math.max(highest, Number(number));
    } else if (name !== undefined && !names.has(name)) {
      names.add(name);
      highest++;
    }
  }
  return highest;
}
