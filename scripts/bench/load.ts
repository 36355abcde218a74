/** The generator and the sink of a measurement, each in a process of its own: Postfix's tools if present, else ours. */

import { startSink } from "../mail/sink.ts";
import type { GeneratorResult } from "../mail/generator.ts";
import { endProcess, findProgram, freePort, pause } from "./server.ts";

/** How much to send. */
export interface Load {
  readonly messages: number;
  readonly connections: number;
  /** Octets of a message. */
  readonly size: number;
}

/** The receiving end. */
export interface NextHop {
  readonly port: number;
  /** Waits until it has taken so many messages in all; gives the time. */
  reached(messages: number, timeoutMs: number): Promise<number>;
  stop(): Promise<void>;
}

const HERE = new URL(".", import.meta.url).pathname;

/** Sends the load as fast as it is taken; gives the seconds it took. */
export async function send(load: Load, port: number): Promise<number> {
  const program = await findProgram("smtp-source");
  if (program === undefined) return (await sendMeasured(load, port)).seconds;
  const start = performance.now();
  const { success, stderr } = await new Deno.Command(program, {
    args: [
      // Several messages on one connection.
      "-d",
      ...["-s", String(load.connections), "-m", String(load.messages), "-l", String(load.size)],
      ...["-f", "generator@client.example", "-t", "sink@sink.example"],
      `127.0.0.1:${port}`,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`smtp-source failed: ${new TextDecoder().decode(stderr)}`);
  return (performance.now() - start) / 1000;
}

/** Sends the load with our generator, which measures every acceptance; `headers` are added to each message. */
export async function sendMeasured(
  load: Load,
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<GeneratorResult> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--allow-net", `${HERE}../mail/generator.ts`],
      ...["--port", String(port), "--messages", String(load.messages)],
      ...["--connections", String(load.connections), "--size", String(load.size)],
      ...["--headers", JSON.stringify(headers)],
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`the generator failed: ${new TextDecoder().decode(stderr)}`);
  const result = JSON.parse(new TextDecoder().decode(stdout)) as GeneratorResult;
  if (result.refused > 0) throw new Error(`the server refused ${result.refused} messages: ${result.refusal}`);
  return result;
}

/** A next hop that accepts connections and never says a word: attempts begin and do not end. */
export function hangingNextHop(): NextHop {
  const sink = startSink({ mute: true });
  return {
    port: sink.port,
    reached: () => Promise.reject(new Error("a hanging next hop takes nothing")),
    stop: () => Promise.resolve(sink.close()),
  };
}

/** A next hop that refuses connections: every attempt fails at once and is put off. */
export function closedNextHop(): NextHop {
  return {
    port: freePort(),
    reached: () => Promise.reject(new Error("a closed next hop takes nothing")),
    stop: () => Promise.resolve(),
  };
}

/** A next hop that takes everything and counts. */
export async function countingNextHop(): Promise<NextHop> {
  const port = freePort();
  const program = await findProgram("smtp-sink");
  const [command, args] = program === undefined
    ? [Deno.execPath(), ["run", "--quiet", "--allow-net", `${HERE}../mail/sink.ts`, "--port", String(port)]]
    : [program, ["-c", ...(Deno.uid() === 0 ? ["-u", "postfix"] : []), `127.0.0.1:${port}`, "200"]];
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
  let count = 0;
  let notify = () => {};
  (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      // Both print a running count: `mesg=N` the one, `messages N` the other.
      const last = [...decoder.decode(chunk).matchAll(/mes(?:g=|sages )(\d+)[\r\n]/g)].at(-1)?.[1];
      if (last === undefined) continue;
      count = Number(last);
      notify();
    }
  })();
  await listening(port);
  return {
    port,
    reached: (messages, timeoutMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`the sink has ${count} of ${messages} messages`)), timeoutMs);
        notify = () => {
          if (count < messages) return;
          clearTimeout(timer);
          resolve(performance.now());
        };
        notify();
      }),
    stop: () => endProcess(child),
  };
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
      return;
    } catch {
      await pause(20);
    }
  }
  throw new Error(`the sink does not listen on port ${port}`);
}
