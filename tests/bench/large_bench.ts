/**
 * Memory of a server that delivers one large message to many recipients, each by a transaction of its own.
 *
 * ```sh
 * deno run -A tests/bench/large_bench.ts [--megabytes 100] [--recipients 100] [--places 100]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";
import { composeMessage, openDialogue } from "../../scripts/mail/dialogue.ts";
import { startSink } from "../../scripts/mail/sink.ts";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "100" },
    recipients: { type: "string", default: "100" },
    places: { type: "string", default: "100" },
  },
});
const recipients = Number(values.recipients);

const folder = await Deno.makeTempDir({ prefix: "godwit-large-" });
const port = freePort();
const sink = startSink();
const domains = Array.from({ length: recipients }, (_, index) => `d${index}.example`);
await Deno.writeTextFile(
  `${folder}/config.toml`,
  `server.hostname = "large.example"
server.tls.enable = false
server.listener.load = { bind = "127.0.0.1:${port}", protocol = "smtp" }
store.data = { type = "libsql", url = "file:godwit.db" }
storage.data = "data"
session.auth.require = false
session.rcpt.relay = true
session.rcpt.max-recipients = 100_000
session.data.limits.size = 1_000_000_000
session.transfer-limit = 2_000_000_000
auth = { dkim.verify = "disable", arc.verify = "disable" }
queue.strategy = { route = "rcpt_domain", tls = "'plain'" }
queue.virtual.remote.threads-per-node = ${values.places}
queue.tls.plain = { starttls = "disable", dane = "disable", mta-sts = "disable" }
${
    domains.map((id) =>
      `queue.route."${id}" = { type = "relay", address = "127.0.0.1", port = ${sink.port}, tls.implicit = false }\n`
    ).join("")
  }
tracer.console = { type = "console", level = "warn" }
`,
);
const child = startGodwit({ config: `${folder}/config.toml`, cwd: folder });
await greeted(port, child.status).catch((error) => {
  throw new Error(child.output(), { cause: error });
});

async function memory(): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await Deno.readTextFile(`/proc/${child.pid}/status`);
  const read = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1000);
  return { now: read("VmRSS"), peak: read("VmHWM") };
}

console.log(`idle: ${(await memory()).now} MB`);
const dialogue = await openDialogue(port, 600_000);
const lines = [
  "EHLO client.example",
  "MAIL FROM:<a@client.example>",
  ...domains.map((id) => `RCPT TO:<b@${id}>`),
  "DATA",
];
for (const line of lines) {
  const { code, text } = await dialogue.command(line);
  if (code >= 400) throw new Error(`${line}: ${text}`);
}
let begun = performance.now();
const { code, text } = await dialogue.send(composeMessage(Number(values.megabytes) * 1_000_000));
if (code !== 250) throw new Error(text);
console.log(`accepted in ${((performance.now() - begun) / 1000).toFixed(1)} s: ${JSON.stringify(await memory())}`);
dialogue.close();
begun = performance.now();
while (sink.count < recipients) await pause(200);
console.log(
  `delivered ${sink.count} times in ${((performance.now() - begun) / 1000).toFixed(1)} s: ` +
    JSON.stringify(await memory()),
);
child.kill("SIGTERM");
await child.status;
sink.close();
await Deno.remove(folder, { recursive: true });
