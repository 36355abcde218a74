import assert from "node:assert/strict";
import { run } from "../../../src/cli/mod.ts";

/** What a command line prints, and its exit status. */
async function typed(...args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const status = await run(args, {
    print: (line) => void out.push(line),
    error: (line) => void err.push(line),
    write: () => Promise.resolve(),
    colours: false,
  });
  return { status, out: out.join("\n"), err: err.join("\n") };
}

/** Every command with its sub-commands, as the help lists them. */
async function commands(path: readonly string[] = []): Promise<string[][]> {
  const { status, out } = await typed(...path, "--help");
  assert.equal(status, 0, path.join(" "));
  const list = out.split("Commands:\n")[1] ?? "";
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
  const below = await Promise.all(names.map((name) => commands([...path, name])));
  return [[...path], ...below.flat()];
}

Deno.test("every command has a help, which shows no empty default and knows what it is for", async () => {
  const all = await commands();
  assert.ok(all.length > 25, `${all.length} commands`);
  for (const path of all) {
    const { out, err } = await typed(...path, "--help");
    assert.ok(out.startsWith(`Usage: ${["godwit", ...path].join(" ")} [`), out);
    assert.doesNotMatch(out, /\[\]\)|undefined/);
    assert.equal(err, "");
  }
});

Deno.test("a wrong command line ends with 2 and names the help that says more", async () => {
  const cases: readonly (readonly [args: readonly string[], error: RegExp, help: string])[] = [
    [["queu"], /unknown command 'queu'.*queue/s, "(godwit --help lists the commands)"],
    [["queue", "lst"], /unknown command 'lst'/, "(godwit queue --help lists the commands)"],
    [["check", "--conf"], /unknown option '--conf'/, "(godwit check --help shows what it takes)"],
    [["serve", "x.toml"], /too many arguments/, "(godwit serve --help shows what it takes)"],
    [["explain", "--from", "a@b.example"], /'--to <address>' not specified/, "(godwit explain --help shows"],
    [["dkim", "keygen"], /'--domain <domain>' not specified/, "(godwit dkim keygen --help shows"],
  ];
  for (const [args, error, help] of cases) {
    const { status, out, err } = await typed(...args);
    assert.deepEqual([status, out], [2, ""], args.join(" "));
    assert.match(err, error);
    assert.ok(err.includes(help), err);
  }
});

Deno.test("a port that is none is told by the option that names it", async () => {
  for (const port of ["abc", "70000", "-1", "25 "]) {
    const { status, err } = await typed("dev", `--smtp-port=${port}`);
    assert.deepEqual([status, err], [2, `--smtp-port ${port}: expected a port from 0 to 65535`]);
  }
});

Deno.test("a file that is not there is told in plain words", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/none`;
    assert.deepEqual(await typed("sieve", "check", path), {
      status: 1,
      out: "",
      err: `${path}: there is no such file`,
    });
    assert.equal((await typed("sieve", "check", folder)).err, `${folder}: it is a folder`);
    const explained = await typed("explain", "--from", "a@b.example", "--to", "c@d.example", "--message", path);
    assert.deepEqual(explained, { status: 2, out: "", err: `--message ${path}: there is no such file` });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
