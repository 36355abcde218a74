/** The version of this program; `deno.json` and the changelog name the same. */
export const VERSION = "0.1.0";
