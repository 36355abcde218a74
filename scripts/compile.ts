/**
 * `deno task compile [--target TRIPLE] [--kind compile|self-extracting]`: godwit as one file in `dist/`.
 *
 * The first choice is `deno compile`. It needs the `denort` runtime, downloaded or named by `DENORT_BIN`; where that
 * cannot be had, the file is a self-extracting one, made from packages of the npm registry alone.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { bundleProgram, findRunTimeFiles } from "./compile/bundle.ts";
import { installPackage, lockedVersion } from "./compile/packages.ts";
import { RUNTIME, selfExtracting } from "./compile/self_extracting.ts";
import { findTarget, type Target } from "./compile/targets.ts";

// An unreachable host must not hold up the build; a download over a slow line must be able to finish.
const COMPILE_TIMEOUT_MS = 120_000;
// Words of the full `deno` program that `denort` has not.
const FULL_RUNTIME_MARK = "Compile the script into a self contained executable";

/** What to build, and from what. */
export interface CompileOptions {
  readonly target: Target;
  /** Path of the file to write. */
  readonly output: string;
  /** Absolute path of the entry point. */
  readonly entry: string;
  /** Absolute path of the folder with the rest of the source. */
  readonly sources: string;
}

/**
 * Builds with `deno compile`.
 *
 * @returns what went wrong, or undefined
 */
export async function compileWithDenort(options: CompileOptions): Promise<string | undefined> {
  const denort = Deno.env.get("DENORT_BIN");
  if (denort !== undefined && (await Deno.readTextFile(denort)).includes(FULL_RUNTIME_MARK)) {
    return `DENORT_BIN names the full deno program, which does not look for an embedded one: ${denort}`;
  }
  const files = await findRunTimeFiles(options.entry, options.sources);
  const includes = new Set(files.map((file) => file.path));
  const signal = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--allow-all",
      "--no-prompt",
      "--exclude-unused-npm",
      ...["--target", options.target.triple],
      ...["--include", `npm:${options.target.addonPackage}`],
      ...[...includes].flatMap((path) => ["--include", path]),
      ...["--output", options.output],
      options.entry,
    ],
    stdout: "null",
    stderr: "piped",
    signal,
  }).output();
  if (signal.aborted) return `deno compile had not finished after ${COMPILE_TIMEOUT_MS / 1000} s`;
  return code === 0 ? undefined : new TextDecoder().decode(stderr).trim();
}

/** Builds the self-extracting kind. */
export async function compileSelfExtracting(options: CompileOptions): Promise<void> {
  const { target } = options;
  const folder = await Deno.makeTempDir({ prefix: "godwit-compile-" });
  try {
    const runtime = await installPackage(target.runtimePackage, Deno.version.deno, `${folder}/runtime`);
    const version = await lockedVersion(target.addonPackage);
    const addon = await installPackage(target.addonPackage, version, `${folder}/addon`);
    const files = [
      { path: RUNTIME, bytes: await Deno.readFile(`${runtime}/deno`), executable: true },
      ...await bundleProgram(options.entry, options.sources),
    ];
    for (const name of ["index.node", "package.json"]) {
      const path = `node_modules/${target.addonPackage}/${name}`;
      files.push({ path, bytes: await Deno.readFile(`${addon}/${name}`), executable: false });
    }
    await Deno.writeFile(options.output, selfExtracting(`godwit for ${target.name}`, files));
    await Deno.chmod(options.output, 0o755);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { target: { type: "string" }, kind: { type: "string" }, output: { type: "string" } },
  });
  const root = new URL("..", import.meta.url).pathname;
  const target = findTarget(values.target);
  const output = values.output ?? `${root}dist/godwit-${target.name}`;
  await Deno.mkdir(`${root}dist`, { recursive: true });
  const options = { target, output, entry: `${root}main.ts`, sources: `${root}src` };
  const problem = values.kind === "self-extracting" ? "not asked for" : await compileWithDenort(options);
  if (problem === undefined) {
    console.log(`${output}: made by deno compile`);
  } else if (values.kind === "compile") {
    console.error(`deno compile failed: ${problem}`);
    Deno.exit(1);
  } else {
    console.log(`deno compile is not used: ${problem}`);
    await compileSelfExtracting(options);
    console.log(`${output}: made as a self-extracting file`);
  }
}
