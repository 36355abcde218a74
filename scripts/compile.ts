/**
 * `deno task compile [--target TRIPLE] [--kind compile|self-extracting]`: godwit as one file in `dist/`.
 *
 * The first choice is `deno compile`. It needs the `denort` runtime, downloaded or named by `DENORT_BIN`; where that
 * cannot be had, the file is a self-extracting one, made from packages of the npm registry alone.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { ArchiveFile } from "./compile/archive.ts";
import { bundleProgram } from "./compile/bundle.ts";
import { installPackage, lockedVersion } from "./compile/packages.ts";
import { RUNTIME, selfExtracting } from "./compile/self_extracting.ts";
import { findTarget, type Target } from "./compile/targets.ts";
import { smoke } from "./smoke.ts";

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

/** What both kinds carry beside the runtime: the bundled program, and the native addon as a package beside it. */
export async function programFiles({ target, entry, sources }: CompileOptions): Promise<ArchiveFile[]> {
  return await withFolder(async (folder) => {
    const addon = await installPackage(target.addonPackage, await lockedVersion(target.addonPackage), folder);
    const files = await bundleProgram(entry, sources);
    for (const name of ["index.node", "package.json"]) {
      const path = `node_modules/${target.addonPackage}/${name}`;
      files.push({ path, bytes: await Deno.readFile(`${addon}/${name}`), executable: false });
    }
    return files;
  });
}

/**
 * Builds with `deno compile`. It gets the bundle, not the source tree: what it would embed of whole npm packages is
 * larger, and its analysis of them overflows the stack at a test file of one of them.
 *
 * @returns what went wrong, or undefined
 */
export async function compileWithDenort(
  { target, output }: CompileOptions,
  files: readonly ArchiveFile[],
): Promise<string | undefined> {
  const denort = Deno.env.get("DENORT_BIN");
  if (denort !== undefined && (await Deno.readTextFile(denort)).includes(FULL_RUNTIME_MARK)) {
    return `DENORT_BIN names the full deno program, which does not look for an embedded one: ${denort}`;
  }
  return await withFolder(async (folder) => {
    for (const { path, bytes } of files) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(`${folder}/${path}`, bytes);
    }
    const signal = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "compile",
        ...[
          "--quiet",
          "--allow-all",
          "--unstable-net",
          "--no-prompt",
          "--no-check",
          "--no-config",
          "--node-modules-dir=manual",
        ],
        ...["--target", target.triple, "--output", output],
        ...files.filter(({ path }) => path !== "main.js").flatMap(({ path }) => ["--include", path]),
        "main.js",
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
      signal,
    }).output();
    if (signal.aborted) return `deno compile had not finished after ${COMPILE_TIMEOUT_MS / 1000} s`;
    // What follows is of use to Deno's own developers only.
    if (code !== 0) return new TextDecoder().decode(stderr).split("Stack backtrace")[0]?.trim();
    if (target.arch !== Deno.build.arch) return undefined;
    return await smoke({ binary: output }).then(() => undefined, (error) => `what it made does not work: ${error}`);
  });
}

/** Builds the self-extracting kind. */
export async function compileSelfExtracting(
  { target, output }: CompileOptions,
  files: readonly ArchiveFile[],
): Promise<void> {
  await withFolder(async (folder) => {
    const runtime = await installPackage(target.runtimePackage, Deno.version.deno, folder);
    const executable = { path: RUNTIME, bytes: await Deno.readFile(`${runtime}/deno`), executable: true };
    await Deno.writeFile(output, selfExtracting(`godwit for ${target.name}`, [executable, ...files]));
    await Deno.chmod(output, 0o755);
  });
}

async function withFolder<Result>(body: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-compile-" });
  try {
    return await body(folder);
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
  // A running program must not have its file changed under it: the new one takes its place when it is whole.
  const fresh = `${output}.new`;
  await Deno.remove(fresh).catch(() => {});
  const options = { target, output: fresh, entry: `${root}main.ts`, sources: `${root}src` };
  const files = await programFiles(options);
  const problem = values.kind === "self-extracting" ? "not asked for" : await compileWithDenort(options, files);
  if (problem !== undefined && values.kind === "compile") {
    console.error(`deno compile failed: ${problem}`);
    Deno.exit(1);
  }
  if (problem !== undefined) {
    console.log(`deno compile is not used: ${problem}`);
    await compileSelfExtracting(options, files);
  }
  await Deno.rename(fresh, output);
  console.log(`${output}: made ${problem === undefined ? "by deno compile" : "as a self-extracting file"}`);
}
