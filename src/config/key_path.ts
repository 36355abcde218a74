/** Key paths as people read them: `server.listener."a.b".bind`, `directory.staff.principals[0].name`. */

/** Segments of a path; a number is a position in a list. */
export type KeyPath = readonly (string | number)[];

const BARE = /^[A-Za-z0-9_-]+$/;

/** Writes a path; segments that TOML would want quoted are quoted. */
export function formatPath(path: KeyPath): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else text += (text === "" ? "" : ".") + (BARE.test(segment) ? segment : JSON.stringify(segment));
  }
  return text;
}

const SEGMENT = /\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)')((?:\[[0-9]+\])*)\s*(\.|$)/y;

/** Reads a path as {@link formatPath} writes it, or `undefined` if it is none. */
export function parsePath(text: string): KeyPath | undefined {
  const path: (string | number)[] = [];
  SEGMENT.lastIndex = 0;
  while (true) {
    const match = SEGMENT.exec(text);
    if (match === null) return undefined;
    const [, bare, double, single, positions, separator] = match;
    path.push(bare ?? double?.replace(/\\(.)/g, "$1") ?? single ?? "");
    for (const position of positions?.matchAll(/[0-9]+/g) ?? []) path.push(Number(position[0]));
    if (separator === "") return SEGMENT.lastIndex === text.length ? path : undefined;
  }
}
