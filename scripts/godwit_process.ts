/** Starts godwit as its own process, from the source tree or from a built file, for tests and measurements. */

/** How to start it. */
export interface StartOptions {
  /** Path of the configuration file. */
  readonly config: string;
  /** Program and first arguments, up to `serve`. Default: this source tree. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const ROOT = new URL("..", import.meta.url).pathname;

/** What runs godwit from this source tree. */
export const fromSource: readonly string[] = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--allow-all",
  "--no-prompt",
  "--config",
  `${ROOT}deno.json`,
  `${ROOT}main.ts`,
];

/** A started godwit. */
export interface GodwitProcess {
  readonly pid: number;
  readonly status: Promise<Deno.CommandStatus>;
  /** Sends a signal; harmless once it has ended. */
  kill(signal: Deno.Signal): void;
  /** What it has printed so far, on standard output and standard error. */
  output(): string;
}

/** Starts `godwit serve`. It may not be listening yet when this returns. */
export function startGodwit(options: StartOptions): GodwitProcess {
  const [program, ...args] = options.command ?? fromSource;
  if (program === undefined) throw new Error("the command is empty");
  const child = new Deno.Command(program, {
    args: [...args, "serve", "--config", options.config],
    ...options.env && { env: { ...options.env } },
    ...options.cwd && { cwd: options.cwd },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const text = [collect(child.stdout), collect(child.stderr)];
  return {
    pid: child.pid,
    status: child.status,
    kill(signal) {
      try {
        child.kill(signal);
      } catch {
        // It has ended.
      }
    },
    output: () => text.map((read) => read()).join(""),
  };
}

// What a long run prints must not fill the memory: the beginning and the end tell enough.
const KEPT = 64 * 1024;

function collect(stream: ReadableStream<Uint8Array>): () => string {
  let begin = "";
  let end = "";
  (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      if (begin.length < KEPT) begin += text;
      else end = (end + text).slice(-KEPT);
    }
  })().catch(() => {});
  return () => begin + end;
}
