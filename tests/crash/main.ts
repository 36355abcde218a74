/**
 * `deno task test:crash [--rounds 10] [--connections 8]`: kills the server at random moments under load, starts it
 * again, and accounts for every message at the end: no acknowledged one is lost, and none comes twice but what was being
 * handed over when the server died. 200 rounds are the full run.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { type GodwitProcess, startGodwit } from "../../scripts/godwit_process.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { account, type Delivered } from "./account.ts";
import { messageOf, SCRIPT, startLoad } from "./load.ts";

// The commit of an outcome follows the peer's 250 by milliseconds; a busy machine may stretch that.
const WINDOW_MS = 1_000;
const LONGEST_RUN_MS = 1_500;
// One kill in so many comes while the server is still starting.
const EARLY_EVERY = 5;
const LONGEST_START_MS = 600;
const DRAIN_TIMEOUT_MS = 120_000;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "10" },
    connections: { type: "string", default: "8" },
  },
});
const rounds = Number(values.rounds);

const folder = await Deno.makeTempDir({ prefix: "godwit-crash-" });
const config = `${folder}/config.toml`;
const port = freePort();
const httpPort = freePort();
const delivered: Delivered[] = [];
const kills: number[] = [];
const sink = startSink({
  keepContent: true,
  onMessage({ sender, recipients, content }) {
    const at = performance.now();
    const whole = endsWith(content, messageOf(sender.slice(0, sender.indexOf("@"))).subarray(0, -".\r\n".length));
    for (const recipient of recipients) delivered.push({ id: recipient.slice(0, recipient.indexOf("@")), at, whole });
    return undefined;
  },
});
await Deno.writeTextFile(config, configuration());

let child = start();
const load = startLoad(port, Number(values.connections));
for (let round = 1; round <= rounds; round++) {
  if (round % EARLY_EVERY === 0) {
    await pause(Math.random() * LONGEST_START_MS);
  } else {
    await started(child);
    await pause(Math.random() * LONGEST_RUN_MS);
  }
  child.kill("SIGKILL");
  const status = await child.status;
  // What the dead server had handed to the system still arrives; only then is the kill over.
  while (sink.connections > 0) await pause(1);
  kills.push(performance.now());
  if (status.signal !== "SIGKILL") throw new Error(`the server ended by itself: ${child.output()}`);
  child = start();
  if (round % 10 === 0) console.log(`round ${round}: ${delivered.length} deliveries`);
}
await started(child);
await load.stop();
const waiting = await drain();
child.kill("SIGTERM");
await child.status;
sink.close();

const result = account(load.sent, delivered, kills, WINDOW_MS);
console.log(
  `${rounds} kills, ${result.accepted} recipients acknowledged, ${result.deliveries} deliveries, ` +
    `${result.allowedRepeats} repeated in the allowed window (longest ${result.longestWindow.toFixed(0)} ms), ` +
    `${result.unansweredDelivered} delivered whose reply was lost in a kill`,
);
const checks: readonly (readonly [string, readonly string[]])[] = [
  ["every acknowledged message was delivered", result.lost],
  ["nothing refused or unfinished was delivered", result.uncalled],
  ["a message and what a script sends about it are there together, or not at all", result.torn],
  ["repeats only between the peer's 250 and our commit", result.repeated],
  ["every delivery has the content that was sent", result.damaged],
  ["the queue is empty at the end", waiting],
];
for (const [name, offending] of checks) {
  const examples = offending.slice(0, 5).join(" ");
  console.log(offending.length === 0 ? `ok      ${name}` : `FAILED  ${name}: ${offending.length}, such as ${examples}`);
}
const failed = checks.filter(([, offending]) => offending.length > 0).length;
console.log(`${checks.length - failed} passed, ${failed} failed`);
if (failed === 0) await Deno.remove(folder, { recursive: true });
else console.log(`kept for inspection: ${folder}`);
Deno.exit(failed === 0 ? 0 : 1);

function start(): GodwitProcess {
  return startGodwit({ config, cwd: folder });
}

async function started(process: GodwitProcess): Promise<void> {
  await greeted(port, process.status).catch((error) => {
    throw new Error(`the server did not start: ${process.output()}`, { cause: error });
  });
}

/** Waits until nothing is queued; gives what still is. */
async function drain(): Promise<string[]> {
  const deadline = performance.now() + DRAIN_TIMEOUT_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${httpPort}/api/queue/messages?limit=20`);
    const { messages } = await response.json() as { readonly messages: readonly { readonly id: string }[] };
    if (messages.length === 0 || performance.now() > deadline) return messages.map(({ id }) => id);
    await pause(100);
  }
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  const tail = bytes.subarray(bytes.length - end.length);
  return tail.length === end.length && tail.every((octet, index) => octet === end[index]);
}

function configuration(): string {
  return `[server]
hostname = "crash.example"
tls.enable = false
[server.listener.load]
bind = "127.0.0.1:${port}"
protocol = "smtp"
[server.listener.status]
bind = "127.0.0.1:${httpPort}"
protocol = "http"
[cluster]
node-id = "crash"
[store.data]
type = "libsql"
url = "file:godwit.db"
[storage]
data = "data"
[session.auth]
require = false
[session.rcpt]
relay = true
[session.data]
script = "'copies'"
limits.messages = 1_000_000
[sieve.trusted.scripts.copies]
contents = '''
${SCRIPT}
'''
[auth]
dkim.verify = "disable"
arc.verify = "disable"
[queue.strategy]
route = "'sink'"
schedule = "'soon'"
tls = "'plain'"
[queue.schedule.soon]
queue-name = "remote"
retry = ["1s"]
[queue.route.sink]
type = "relay"
address = "127.0.0.1"
port = ${sink.port}
tls.implicit = false
[queue.tls.plain]
starttls = "disable"
dane = "disable"
mta-sts = "disable"
[tracer.console]
type = "console"
level = "warn"
`;
}
