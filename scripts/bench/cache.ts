/** Folder for what the bench installs once: programs to compare with. It lies outside the source tree. */
export function cacheFolder(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/godwit-bench`;
}
