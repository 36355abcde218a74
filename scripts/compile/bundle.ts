/**
 * The program as a few plain files: one bundle for the entry point, one for every Web Worker, and the assets that are
 * read at run time. They lie side by side in one folder.
 */

import type { ArchiveFile } from "./archive.ts";

// What the source refers to relative to itself at run time. Static imports are the bundler's work; these are ours.
const RUN_TIME_FILE = /new URL\(\s*"(\.\.?\/[^"]+)",\s*import\.meta\.url,?\s*\)/g;

/** A file of the source tree that is loaded or read at run time. */
export interface RunTimeFile {
  /** As the source spells it, relative to the referring file. */
  readonly specifier: string;
  /** Absolute path. */
  readonly path: string;
  /** Name beside the bundle. */
  readonly name: string;
}

/**
 * Finds every `new URL("./…", import.meta.url)` in the source.
 *
 * @throws {Error} if two files would get the same name, or one spelling means two files
 */
export async function findRunTimeFiles(entry: string, sources: string): Promise<RunTimeFile[]> {
  const found = new Map<string, RunTimeFile>();
  const names = new Map<string, string>();
  for (const file of [entry, ...await sourceFiles(sources)]) {
    const text = await Deno.readTextFile(file);
    for (const match of text.matchAll(RUN_TIME_FILE)) {
      const specifier = match[1] ?? "";
      const path = new URL(specifier, `file://${file}`).pathname;
      const base = path.slice(path.lastIndexOf("/") + 1);
      const name = base.replace(/\.ts$/, ".js");
      const other = found.get(specifier)?.path ?? names.get(name) ?? path;
      if (other !== path) throw new Error(`${file}: ${specifier} collides with ${other}; give one another name`);
      found.set(specifier, { specifier, path, name });
      names.set(name, path);
    }
  }
  return [...found.values()];
}

/**
 * Bundles the program.
 *
 * @param entry absolute path of the entry point; its bundle is `main.js`
 * @param sources absolute path of the folder with the rest
 */
export async function bundleProgram(entry: string, sources: string): Promise<ArchiveFile[]> {
  const runTimeFiles = await findRunTimeFiles(entry, sources);
  const files: ArchiveFile[] = [{ path: "main.js", bytes: await bundle(entry, runTimeFiles), executable: false }];
  for (const { path, name } of runTimeFiles) {
    const bytes = path.endsWith(".ts") ? await bundle(path, runTimeFiles) : await Deno.readFile(path);
    if (!files.some((file) => file.path === name)) files.push({ path: name, bytes, executable: false });
  }
  return files;
}

async function bundle(path: string, runTimeFiles: readonly RunTimeFile[]): Promise<Uint8Array> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "deno", path],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`cannot bundle ${path}: ${new TextDecoder().decode(stderr).trim()}`);
  const nameOf = new Map(runTimeFiles.map((file) => [file.specifier, file.name]));
  const text = new TextDecoder().decode(stdout).replace(RUN_TIME_FILE, (whole, specifier: string) => {
    const name = nameOf.get(specifier);
    return name === undefined ? whole : `new URL("./${name}", import.meta.url)`;
  });
  return new TextEncoder().encode(text);
}

async function sourceFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await sourceFiles(path));
    else if (entry.name.endsWith(".ts")) files.push(path);
  }
  return files.sort();
}
