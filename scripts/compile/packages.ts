/** Brings npm packages onto this machine for another machine: `deno install` checks their integrity. */

/**
 * Installs one npm package into `folder` and gives its path.
 *
 * @param version exact version
 */
export async function installPackage(name: string, version: string, folder: string): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ dependencies: { [name]: version } }));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet", "--node-modules-dir=auto", "--no-lock"],
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) {
    throw new Error(`cannot install ${name} ${version}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return await Deno.realPath(`${folder}/node_modules/${name}`);
}

/** The version of an npm package that deno.lock pins. */
export async function lockedVersion(name: string): Promise<string> {
  const lock = JSON.parse(await Deno.readTextFile(new URL("../../deno.lock", import.meta.url))) as {
    readonly npm?: Readonly<Record<string, unknown>>;
  };
  const key = Object.keys(lock.npm ?? {}).find((entry) => entry.startsWith(`${name}@`));
  if (key === undefined) throw new Error(`deno.lock does not pin ${name}`);
  return key.slice(name.length + 1);
}
