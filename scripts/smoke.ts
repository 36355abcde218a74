/**
 * `deno task smoke BINARY [--runner qemu-aarch64]`: one built file, as a stranger would use it. It must name its version,
 * start, accept a message, be killed, start again and deliver the message into a Maildir.
 *
 * `--runner` names the program that runs a file built for another machine.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { composeMessage, openDialogue } from "./mail/dialogue.ts";
import { freePort, greeted, pause } from "./bench/server.ts";
import { type GodwitProcess, startGodwit } from "./godwit_process.ts";

// An emulated start takes ten times as long as a native one, and up to a minute on a busy machine.
const EMULATED_SLOWNESS = 10;
const DELIVERY_TIMEOUT_MS = 120_000;

/** How the file is run. */
export interface SmokeOptions {
  readonly binary: string;
  /** Program that runs the file, for another machine's. */
  readonly runner?: string;
  /** Called with each step that has succeeded. */
  readonly report?: (step: string) => void;
}

/** @throws {Error} at the first step that fails */
export async function smoke({ binary, runner, report = () => {} }: SmokeOptions): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-smoke-" });
  const env = { GODWIT_CACHE_DIR: `${folder}/cache`, ...runner && { GODWIT_RUNNER: runner } };
  // A shell header runs anywhere and uses the runner itself; a program of another machine is handed to it.
  const command = runner === undefined || await isScript(binary) ? [binary] : [runner, binary];
  const config = `${folder}/config.toml`;
  const port = freePort();
  let child: GodwitProcess | undefined;
  const start = async () => {
    child = startGodwit({ config, command, env, cwd: folder });
    await greeted(port, child.status, runner === undefined ? 1 : EMULATED_SLOWNESS).catch((error) => {
      throw new Error(`the server did not start: ${child?.output()}`, { cause: error });
    });
  };
  try {
    const version = await firstLine(command, ["version"], env);
    if (!/\d+\.\d+\.\d+/.test(version)) throw new Error(`not a version: ${version}`);
    report(`version: ${version}`);

    const closedPort = freePort();
    await Deno.writeTextFile(config, configuration(port, closedPort));
    await start();
    report("started");
    const id = crypto.randomUUID();
    await submit(port, id);
    report("accepted a message whose next hop is down");
    child?.kill("SIGKILL");
    await child?.status;

    await Deno.writeTextFile(config, configuration(port, undefined));
    await start();
    report("killed and started again");
    await delivered(`${folder}/mail/example.net/bob/Maildir/new`, id);
    report("delivered the message into a Maildir");
    child?.kill("SIGTERM");
    const status = await child?.status;
    if (status?.code !== 0) throw new Error(`the server did not stop cleanly: ${child?.output()}`);
    report("stopped cleanly");
  } finally {
    child?.kill("SIGKILL");
    await child?.status;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Everything goes to a closed port first, so the message is on disk and nowhere else when the server is killed. */
function configuration(port: number, nextHop: number | undefined): string {
  return `[server]
hostname = "mx.example.net"
tls.enable = false
[server.listener.lan]
bind = "127.0.0.1:${port}"
protocol = "smtp"
[store.data]
type = "libsql"
url = "file:godwit.db"
[storage]
data = "data"
directory = "people"
[directory.people]
type = "memory"
[[directory.people.principals]]
name = "bob"
secret = "${HASH}"
email = ["bob@example.net"]
[session.auth]
require = true
mechanisms = "['plain']"
allow-plain-text = true
must-match-sender = false
[queue.strategy]
route = "'${nextHop === undefined ? "local" : "down"}'"
schedule = "'soon'"
[queue.schedule.soon]
queue-name = "local"
retry = ["1s"]
[queue.route.down]
type = "relay"
address = "127.0.0.1"
port = ${nextHop ?? 25}
tls.implicit = false
[queue.route.local]
type = "local"
path = "mail/{domain}/{local}/Maildir"
`;
}

// "swordfish" by `openssl passwd -6`: the check runs in a worker of its own, which a built file has to carry.
const HASH = "$6$godwit$q63roMHq8/IfoZaGUzNFz4A4Ot544h43vdqJ4hZK12fPe0AlElC/sTK2EJIgfDwBmle0UIsHjRxNuw3FDIaFP0";
const CREDENTIALS = btoa("\0bob\0swordfish");

async function submit(port: number, id: string): Promise<void> {
  const dialogue = await openDialogue(port);
  try {
    for (
      const line of [
        "EHLO client.example",
        `AUTH PLAIN ${CREDENTIALS}`,
        "MAIL FROM:<ana@example.org>",
        "RCPT TO:<bob@example.net>",
        "DATA",
      ]
    ) {
      const reply = await dialogue.command(line);
      if (reply.code >= 400) throw new Error(`${line}: ${reply.text}`);
    }
    const reply = await dialogue.send(composeMessage(4096, { "Message-ID": `<${id}@example.org>` }));
    if (reply.code !== 250) throw new Error(`the message was refused: ${reply.text}`);
  } finally {
    dialogue.close();
  }
}

async function delivered(folder: string, id: string): Promise<void> {
  const deadline = performance.now() + DELIVERY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    try {
      for await (const entry of Deno.readDir(folder)) {
        if ((await Deno.readTextFile(`${folder}/${entry.name}`)).includes(id)) return;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await pause(100);
  }
  throw new Error("the message did not arrive in the Maildir");
}

async function firstLine(
  command: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const [program = "", ...rest] = [...command, ...args];
  const { stdout, stderr } = await new Deno.Command(program, { args: rest, env: { ...env } }).output();
  const decoder = new TextDecoder();
  return (decoder.decode(stdout) + decoder.decode(stderr)).split("\n")[0] ?? "";
}

async function isScript(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const start = new Uint8Array(2);
  await file.read(start);
  return new TextDecoder().decode(start) === "#!";
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    options: { runner: { type: "string" } },
    allowPositionals: true,
  });
  const [binary] = positionals;
  if (binary === undefined) {
    console.error("usage: deno task smoke BINARY [--runner PROGRAM]");
    Deno.exit(2);
  }
  try {
    const report = (step: string) => console.log(`ok  ${step}`);
    await smoke({ binary: await Deno.realPath(binary), report, ...values.runner && { runner: values.runner } });
  } catch (error) {
    console.error(`failed: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
