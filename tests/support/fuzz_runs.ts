/** How many inputs a property is tried on. */

const factor = Number(Deno.env.get("FUZZ_FACTOR") ?? "1");

/** `usual` times what the environment variable `FUZZ_FACTOR` says, 1 without it. `deno task fuzz` sets it. */
export function runs(usual: number): number {
  return Math.max(1, Math.round(usual * factor));
}
