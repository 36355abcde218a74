/** Paths of `file:` URLs as libSQL spells them. */

/** The path in a `file:` URL: `file:/a/b`, `file:///a/b`, or `file:a/b`, percent encoding undone. */
export function fromFileUrl(url: string): string {
  const rest = url.replace(/^file:/, "").replace(/[?#].*$/, "");
  const path = rest.startsWith("//") ? rest.replace(/^\/\/[^/]*/, "") : rest;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The folder that holds `path`. */
export function dirname(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}
