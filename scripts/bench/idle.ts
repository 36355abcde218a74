/**
 * Ten thousand connections that say nothing: what they cost godwit in memory, and how soon it greets who comes next.
 *
 *     deno run -A scripts/bench/idle.ts [--connections N] [--ehlo] [--json] [-- COMMAND...]
 *
 * `--ehlo`: each connection says EHLO before it falls silent. COMMAND starts a built file instead of this source tree.
 * This process and the server's each need as many open files as there are connections (`ulimit -n`).
 */

import { startGodwit } from "../godwit_process.ts";
import { openDialogue } from "../mail/dialogue.ts";
import { residentSize } from "./processes.ts";
import { freePort, greeted, pause } from "./server.ts";

const SETTLE_MS = 5_000;
/** Connections that are opened at the same time. */
const AT_ONCE = 50;
const NEWCOMERS = 100;
const TARGET_MB = 400;
const TARGET_MS = 100;

/** Sizes in megabytes, times in milliseconds. */
export interface IdleFigures {
  readonly connections: number;
  readonly openingMs: number;
  readonly emptyMb: number;
  readonly fullMb: number;
  readonly perConnectionKb: number;
  readonly greetingMedianMs: number;
  readonly greetingWorstMs: number;
}

/** Measures; `ehlo` lets every connection say EHLO. */
export async function measureIdle(
  connections: number,
  options: { readonly ehlo?: boolean; readonly command?: readonly string[] } = {},
): Promise<IdleFigures> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-idle-" });
  const port = freePort();
  const config = `${folder}/config.toml`;
  await Deno.writeTextFile(config, configuration(port, connections));
  const child = startGodwit({ config, cwd: folder, ...options.command && { command: options.command } });
  const open: Deno.Conn[] = [];
  try {
    await greeted(port, child.status);
    await pause(SETTLE_MS);
    const empty = residentSize(child.pid);
    const began = performance.now();
    let left = connections;
    const one = async () => {
      while (left-- > 0) {
        const conn = await Deno.connect({ hostname: "127.0.0.1", port });
        open.push(conn);
        await replyOf(conn);
        if (options.ehlo !== true) continue;
        await conn.write(new TextEncoder().encode("EHLO idle.example\r\n"));
        await replyOf(conn);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    const openingMs = performance.now() - began;
    await pause(SETTLE_MS);
    const full = residentSize(child.pid);
    const greetings: number[] = [];
    for (let i = 0; i < NEWCOMERS; i++) {
      const came = performance.now();
      const dialogue = await openDialogue(port);
      greetings.push(performance.now() - came);
      dialogue.close();
    }
    greetings.sort((a, b) => a - b);
    return {
      connections: open.length,
      openingMs: Math.round(openingMs),
      emptyMb: megabytes(empty),
      fullMb: megabytes(full),
      perConnectionKb: Math.round((full - empty) / open.length / 100) / 10,
      greetingMedianMs: tenths(greetings[NEWCOMERS >> 1] ?? 0),
      greetingWorstMs: tenths(greetings.at(-1) ?? 0),
    };
  } finally {
    for (const conn of open) conn.close();
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

function configuration(port: number, connections: number): string {
  return `[server]
hostname = "godwit.bench.example"
max-connections = ${connections + 1000}
[server.listener.bench]
bind = "127.0.0.1:${port}"
protocol = "smtp"
socket.backlog = 4096
[store.data]
type = "libsql"
url = "file:godwit.db"
[storage]
data = "data"
[session]
timeout = "1d"
duration = "1d"
ehlo.reject-non-fqdn = false
[tracer.quiet]
type = "console"
level = "error"
`;
}

/** Waits for a reply; its last line has a blank behind the code. */
async function replyOf(conn: Deno.Conn): Promise<void> {
  let text = "";
  const own = new Uint8Array(4096);
  while (!/(?:^|\n)[0-9]{3} [^\n]*\n$/.test(text)) {
    const count = await conn.read(own);
    if (count === null) throw new Error(`the server closed the connection: ${text}`);
    text += new TextDecoder().decode(own.subarray(0, count));
  }
  if (!text.startsWith("2")) throw new Error(`the server refused: ${text}`);
}

function megabytes(bytes: number): number {
  return tenths(bytes / 1e6);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

if (import.meta.main) {
  const args = [...Deno.args];
  const separator = args.indexOf("--");
  const command = separator < 0 ? undefined : args.splice(separator).slice(1);
  const at = args.indexOf("--connections");
  const figures = await measureIdle(at < 0 ? 10_000 : Number(args[at + 1]), {
    ehlo: args.includes("--ehlo"),
    ...command && { command },
  });
  if (args.includes("--json")) console.log(JSON.stringify(figures));
  else {
    console.log(`${figures.connections} idle connections, opened in ${figures.openingMs} ms`);
    console.log(`memory: ${figures.fullMb} MB (target under ${TARGET_MB}), without them ${figures.emptyMb} MB`);
    console.log(`  ${figures.perConnectionKb} KB for each`);
    console.log(`greeting: ${figures.greetingMedianMs} ms, worst of ${NEWCOMERS} ${figures.greetingWorstMs} ms`);
    console.log(`  (target under ${TARGET_MS} ms)`);
  }
  Deno.exit(figures.fullMb < TARGET_MB && figures.greetingWorstMs < TARGET_MS ? 0 : 1);
}
