import assert from "node:assert/strict";
import { type ArchiveFile, tar } from "../../../scripts/compile/archive.ts";
import { RUNTIME, selfExtracting } from "../../../scripts/compile/self_extracting.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// Stands in for the Deno runtime: says how it was started. The last argument before the program's own is the bundle.
const runtime = `#!/bin/sh
[ "$1" != --version ] || exit 0
while [ "\${1##*/}" != main.js ]; do shift; done
shift
echo "pid=$$ cwd=$PWD value=$VALUE"
for word in "$@"; do echo "[$word]"; done
exit 7
`;

const program: readonly ArchiveFile[] = [
  { path: RUNTIME, bytes: bytes(runtime), executable: true },
  { path: "main.js", bytes: bytes("// program"), executable: false },
  { path: "node_modules/@scope/addon/index.node", bytes: new Uint8Array(700).fill(7), executable: false },
];

/** Runs `body` with a folder that holds a self-extracting file and an empty cache. */
async function withFile(body: (file: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/program`, selfExtracting("a test program", program), { mode: 0o755 });
    await body(`${folder}/program`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function start(file: string, folder: string, args: readonly string[] = []) {
  const child = new Deno.Command(file, {
    args: [...args],
    cwd: folder,
    env: { GODWIT_CACHE_DIR: `${folder}/cache`, VALUE: "a  b" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { pid: child.pid, code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function namesIn(folder: string): Promise<string[]> {
  const names = [];
  for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  return names;
}

Deno.test("a self-extracting file hands on process id, arguments, environment, folder and exit status", async () => {
  await withFile(async (file, folder) => {
    const run = await start(file, folder, ["serve", "two words", "", "*"]);
    assert.deepEqual(run.stdout.split("\n"), [
      `pid=${run.pid} cwd=${folder} value=a  b`,
      "[serve]",
      "[two words]",
      "[]",
      "[*]",
      "",
    ]);
    assert.equal(run.code, 7);
  });
});

Deno.test("a self-extracting file unpacks once and uses what is unpacked", async () => {
  await withFile(async (file, folder) => {
    await start(file, folder);
    const [unpacked] = await namesIn(`${folder}/cache`);
    await Deno.writeTextFile(`${folder}/cache/${unpacked}/${RUNTIME}`, "#!/bin/sh\necho kept\n");
    assert.equal((await start(file, folder)).stdout, "kept\n");
  });
});

Deno.test("an incomplete cache folder is unpacked again", async () => {
  await withFile(async (file, folder) => {
    await start(file, folder);
    const [unpacked] = await namesIn(`${folder}/cache`);
    await Deno.remove(`${folder}/cache/${unpacked}/main.js`);
    assert.equal((await start(file, folder)).code, 7);
    assert.deepEqual(await namesIn(`${folder}/cache`), [unpacked]);
  });
});

Deno.test("first starts at the same time all succeed and leave one unpacked folder", async () => {
  await withFile(async (file, folder) => {
    const runs = await Promise.all([1, 2, 3, 4].map((number) => start(file, folder, [String(number)])));
    assert.deepEqual(runs.map((run) => run.code), [7, 7, 7, 7]);
    const [unpacked, ...others] = await namesIn(`${folder}/cache`);
    assert.deepEqual(others, []);
    assert.deepEqual((await namesIn(`${folder}/cache/${unpacked}`)).sort(), [RUNTIME, "main.js", "node_modules"]);
  });
});

Deno.test("a damaged self-extracting file is refused", async () => {
  await withFile(async (file, folder) => {
    const whole = await Deno.readFile(file);
    const last = whole.length - 40;
    whole[last] = (whole[last] ?? 0) ^ 1;
    await Deno.writeFile(file, whole);
    const run = await start(file, folder);
    assert.equal(run.code, 70);
    assert.match(run.stderr, /is damaged: its contents do not match their checksum/);
    assert.deepEqual(await namesIn(`${folder}/cache`), []);
  });
});

Deno.test("a cache folder that others may write to is not used", async () => {
  await withFile(async (file, folder) => {
    await Deno.mkdir(`${folder}/cache`);
    await Deno.chmod(`${folder}/cache`, 0o777);
    await Deno.mkdir(`${folder}/next`);
    const { code } = await new Deno.Command(file, {
      env: { GODWIT_CACHE_DIR: `${folder}/cache`, XDG_CACHE_HOME: `${folder}/next` },
      stdout: "null",
    }).output();
    assert.equal(code, 7);
    assert.deepEqual(await namesIn(`${folder}/cache`), []);
    assert.equal((await namesIn(`${folder}/next/godwit`)).length, 1);
  });
});

Deno.test("equal files give equal archives, in whole blocks", () => {
  const archive = tar(program);
  assert.deepEqual(archive, tar(program));
  assert.equal(archive.length % 512, 0);
});

Deno.test("a path that does not fit the archive's format is refused", () => {
  const file = { path: "x".repeat(101), bytes: new Uint8Array(), executable: false };
  assert.throws(() => tar([file]), /too long/);
});
