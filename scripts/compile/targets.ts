/** The machines godwit is built for. */

/** One target of `deno task compile`. */
export interface Target {
  /** Target triple, as `deno compile --target` takes it. */
  readonly triple: string;
  /** Suffix of the file in `dist/`. */
  readonly name: string;
  /** `Deno.build.arch` of a machine that runs it natively. */
  readonly arch: typeof Deno.build.arch;
  /** npm package that holds the Deno runtime. */
  readonly runtimePackage: string;
  /** npm package that holds the native addon of libSQL. */
  readonly addonPackage: string;
}

export const targets: readonly Target[] = [
  {
    triple: "x86_64-unknown-linux-gnu",
    name: "linux-x64",
    arch: "x86_64",
    runtimePackage: "@deno/linux-x64-glibc",
    addonPackage: "@libsql/linux-x64-gnu",
  },
  {
    triple: "aarch64-unknown-linux-gnu",
    name: "linux-arm64",
    arch: "aarch64",
    runtimePackage: "@deno/linux-arm64-glibc",
    addonPackage: "@libsql/linux-arm64-gnu",
  },
];

/** The target for a triple; without one, the target of this machine. */
export function findTarget(triple: string | undefined): Target {
  const wanted = triple ?? `${Deno.build.arch}-unknown-linux-gnu`;
  const found = targets.find((target) => target.triple === wanted);
  if (found === undefined) {
    throw new Error(`no target ${wanted}; there are ${targets.map((target) => target.triple).join(", ")}`);
  }
  return found;
}
