/** Several godwits, each a process of its own, on one database: a file, and a libSQL server. */

import assert from "node:assert/strict";
import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { type GodwitProcess, startGodwit } from "../../scripts/godwit_process.ts";
import { openDialogue } from "../../scripts/mail/dialogue.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import { account, type Delivered } from "../crash/account.ts";
import { messageOf, SCRIPT, startLoad } from "../crash/load.ts";
import { startSqld } from "../support/sqld.ts";
import { eventually } from "./server.ts";

const LEASE_S = 4;
// The commit of an outcome follows the peer's 250 by milliseconds; a busy machine may stretch that.
const WINDOW_MS = 1500;

interface Node {
  readonly port: number;
  readonly process: GodwitProcess;
  /** Recipients that wait, all nodes together. */
  waiting(): Promise<number>;
}

/** A sink that remembers what it got, and nodes that deliver to it. */
async function withNodes(
  url: (folder: string) => string,
  count: number,
  body: (nodes: readonly Node[], delivered: readonly Delivered[]) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-nodes-" });
  const delivered: Delivered[] = [];
  const sink = startSink({
    keepContent: true,
    onMessage({ sender, recipients, content }) {
      const at = performance.now();
      const whole = messageOf(sender.slice(0, sender.indexOf("@"))).subarray(0, -".\r\n".length);
      const tail = content.subarray(content.length - whole.length);
      const same = tail.length === whole.length && tail.every((octet, index) => octet === whole[index]);
      for (const one of recipients) delivered.push({ id: one.slice(0, one.indexOf("@")), at, whole: same });
      return undefined;
    },
  });
  const nodes: Node[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const port = freePort();
      const httpPort = freePort();
      const config = `${folder}/node-${index}.toml`;
      await Deno.writeTextFile(config, configuration(`node-${index}`, url(folder), port, httpPort, sink.port));
      const process = startGodwit({ config, cwd: folder });
      await greeted(port, process.status).catch((error) => {
        throw new Error(`a node did not start: ${process.output()}`, { cause: error });
      });
      nodes.push({
        port,
        process,
        async waiting() {
          const response = await fetch(`http://127.0.0.1:${httpPort}/api/queue/messages?limit=100`);
          return ((await response.json()) as { readonly messages: readonly unknown[] }).messages.length;
        },
      });
    }
    await body(nodes, delivered);
  } finally {
    for (const { process } of nodes) {
      process.kill("SIGKILL");
      await process.status;
    }
    sink.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function configuration(id: string, url: string, port: number, httpPort: number, sink: number): string {
  return `server.hostname = "${id}.example"
server.tls.enable = false
server.listener.load = { bind = "127.0.0.1:${port}", protocol = "smtp" }
server.listener.status = { bind = "127.0.0.1:${httpPort}", protocol = "http" }
cluster = { node-id = "${id}", lease = "${LEASE_S}s" }
store.data = { type = "libsql", url = "${url}", timeout = "2s" }
storage.data = "data"
session.auth.require = false
session.rcpt.relay = true
session.data = { limits.messages = 1_000_000, script = "'copies'" }
auth = { dkim.verify = "disable", arc.verify = "disable" }
queue.strategy = { route = "'sink'", schedule = "'soon'", tls = "'plain'" }
queue.schedule.soon = { queue-name = "remote", retry = ["1s"] }
queue.route.sink = { type = "relay", address = "127.0.0.1", port = ${sink}, tls.implicit = false }
queue.tls.plain = { starttls = "disable", dane = "disable", mta-sts = "disable" }
tracer.console = { type = "console", level = "warn" }
[sieve.trusted.scripts.copies]
contents = '''
${SCRIPT}
'''
`;
}

const stores = {
  "a file": (body: (url: (folder: string) => string) => Promise<void>) => body((folder) => `file:${folder}/godwit.db`),
  "sqld": async (body: (url: (folder: string) => string) => Promise<void>) => {
    await using server = await startSqld();
    await body(() => `http://127.0.0.1:${server.port}`);
  },
};

for (const [name, withStore] of Object.entries(stores)) {
  Deno.test(`two processes on ${name} under load, one killed: nothing is lost, the other takes over`, async () => {
    await withStore((url) =>
      withNodes(url, 2, async (nodes, delivered) => {
        const [survivor, victim] = nodes;
        assert.ok(survivor !== undefined && victim !== undefined);
        const loads = nodes.map(({ port }) => startLoad(port, 4));
        await eventually("both nodes deliver", () => delivered.length > 300 || undefined);
        victim.process.kill("SIGKILL");
        await victim.process.status;
        // What it had handed to the system still arrives.
        await pause(200);
        const killed = performance.now();
        await loads[1]?.stop();
        // The other goes on meanwhile.
        const before = delivered.length;
        await eventually("the survivor delivers", () => delivered.length > before + 100 || undefined);
        await loads[0]?.stop();
        await eventually("the queue is empty", async () => await survivor.waiting() === 0 || undefined);
        const took = performance.now() - killed;
        const sums = account(loads.flatMap(({ sent }) => sent), delivered, [killed], WINDOW_MS);
        assert.deepEqual([sums.lost, sums.uncalled, sums.damaged, sums.repeated], [[], [], [], []]);
        assert.ok(sums.accepted > 300);
        // Generous: the load goes on for a while, and the machine may be busy.
        assert.ok(took < 6 * LEASE_S * 1000, `${took} ms`);
      })
    );
  });
}

Deno.test("a node without its database answers 451 and resumes by itself, and what it delivered meanwhile counts", async () => {
  await using server = await startSqld();
  await withNodes(() => `http://127.0.0.1:${server.port}`, 1, async ([node], delivered) => {
    assert.ok(node !== undefined);
    const load = startLoad(node.port, 4);
    await eventually("the node delivers", () => delivered.length > 200 || undefined);
    await server.kill();
    // Under load and beyond: nobody hears 250 while nothing can be stored.
    const refusal = await eventually("a refusal", async () => {
      const dialogue = await openDialogue(node.port);
      try {
        let reply = await dialogue.command("EHLO client.example");
        for (const line of ["MAIL FROM:<1-x@client.example>", "RCPT TO:<1-x-0@sink.example>", "DATA"]) {
          reply = await dialogue.command(line);
          if (reply.code >= 400) return reply;
        }
        reply = await dialogue.send(messageOf("1-x"));
        return reply.code >= 400 ? reply : undefined;
      } finally {
        dialogue.close();
      }
    });
    assert.match(refusal.text, /^451[ -]4\.3\.0/m);
    const sent = load.sent.filter(({ answer }) => answer === "accepted").length;
    await pause(1000);
    assert.equal(load.sent.filter(({ answer }) => answer === "accepted").length, sent);
    await server.restart();
    await eventually(
      "mail is taken again",
      () => load.sent.filter(({ answer }) => answer === "accepted").length > sent + 100 || undefined,
    );
    await load.stop();
    await eventually("the queue is empty", async () => await node.waiting() === 0 || undefined);
    const sums = account(load.sent, delivered, [], WINDOW_MS);
    assert.deepEqual([sums.lost, sums.damaged, sums.repeated], [[], [], []]);
  });
});
