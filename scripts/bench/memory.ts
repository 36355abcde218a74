/** How much memory godwit needs: idle, and for one large message on its way in and out. And how fast it starts. */

import { composeMessage, openDialogue } from "../mail/dialogue.ts";
import { startSink } from "../mail/sink.ts";
import { startGodwit } from "../godwit_process.ts";
import { configuration } from "./godwit.ts";
import { residentSize } from "./processes.ts";
import { freePort, greeted, pause } from "./server.ts";

const LARGE = 50_000_000;
const SAMPLE_MS = 10;
const SETTLE_MS = 3_000;
const DELIVERY_TIMEOUT_MS = 120_000;

/** Sizes in megabytes. */
export interface MemoryFigures {
  /** From the start of the process to its first 220. */
  readonly startMs: number;
  readonly idleMb: number;
  /** Growth of the peak over idle while a 50 MB message comes in and goes out. */
  readonly growthMb: number;
  readonly largeInMs: number;
  readonly largeOutMs: number;
}

/** Measures godwit, from this source tree or as `command`. */
export async function measureMemory(command?: readonly string[]): Promise<MemoryFigures> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-memory-" });
  const delivery = Promise.withResolvers<void>();
  const sink = startSink({
    onMessage() {
      delivery.resolve();
      return undefined;
    },
  });
  const timer = setTimeout(
    () => delivery.reject(new Error("the large message did not arrive at the next hop")),
    DELIVERY_TIMEOUT_MS,
  );
  const port = freePort();
  const config = `${folder}/config.toml`;
  await Deno.writeTextFile(config, configuration(port, sink.port, freePort()));
  const began = performance.now();
  const child = startGodwit({ config, cwd: folder, ...command && { command } });
  try {
    await greeted(port, child.status);
    const startMs = Math.round(performance.now() - began);
    await pause(SETTLE_MS);
    const idle = residentSize(child.pid);
    let peak = idle;
    const sampler = setInterval(() => peak = Math.max(peak, residentSize(child.pid)), SAMPLE_MS);
    const sent = performance.now();
    await sendLarge(port);
    const accepted = performance.now();
    await delivery.promise;
    const done = performance.now();
    clearInterval(sampler);
    return {
      startMs,
      idleMb: megabytes(idle),
      growthMb: megabytes(peak - idle),
      largeInMs: Math.round(accepted - sent),
      largeOutMs: Math.round(done - accepted),
    };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    await child.status;
    sink.close();
    await Deno.remove(folder, { recursive: true });
  }
}

async function sendLarge(port: number): Promise<void> {
  const message = composeMessage(LARGE);
  const dialogue = await openDialogue(port);
  await dialogue.command("EHLO client.example");
  await dialogue.command("MAIL FROM:<generator@client.example>");
  await dialogue.command("RCPT TO:<sink@sink.example>");
  await dialogue.command("DATA");
  const reply = await dialogue.send(message);
  dialogue.close();
  if (reply.code !== 250) throw new Error(`the large message was refused: ${reply.text}`);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}
