/** What the bench asks of a mail server: to be started with an empty queue, to relay all it gets, and to stop. */

import { openDialogue } from "../mail/dialogue.ts";

/** How to set a server up. */
export interface ServerOptions {
  /** An empty folder for configuration and queue. */
  readonly folder: string;
  /** Port to listen on, on loopback. */
  readonly port: number;
  /** Port of the next hop, on loopback, for every message. */
  readonly nextHop: number;
  /** Port for the management API or status page, where there is one. */
  readonly httpPort: number;
  /** Nothing is to be delivered: the next hop is closed, and a server may know that without trying. */
  readonly deferAll: boolean;
}

/** A server that accepts mail. */
export interface RunningServer {
  /** Root of the tree of its processes. */
  readonly pid: number;
  /** Ends it and waits for its end. */
  stop(): Promise<void>;
}

/** A kind of server. */
export interface MailServer {
  readonly name: string;
  /** Why it cannot run here, or undefined. */
  missing(): Promise<string | undefined>;
  start(options: ServerOptions): Promise<RunningServer>;
}

const START_TIMEOUT_MS = 60_000;
const GREETING_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * A port that was free a moment ago. It lies below those that the system gives to outgoing connections, so none of them
 * can take it meanwhile, and is noted in a folder, so that no other test takes it before a server has started there.
 */
export function freePort(): number {
  const taken = `${Deno.env.get("TMPDIR") ?? "/tmp"}/godwit-ports`;
  Deno.mkdirSync(taken, { recursive: true });
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      note(`${taken}/${port}`);
      Deno.listen({ port, hostname: "127.0.0.1" }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Makes an empty file that nobody else has made within the last quarter of an hour. */
function note(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true }).close();
  } catch (error) {
    const made = error instanceof Deno.errors.AlreadyExists ? Deno.statSync(path).mtime?.getTime() : undefined;
    if (made === undefined || Date.now() - made < 900_000) throw error;
    Deno.utimeSync(path, new Date(), new Date());
  }
}

/**
 * Waits until the server greets.
 *
 * @param slowness how many times longer than usual everything may take, as under an emulator
 * @throws {Error} if it has not within a minute, or `ended` resolves before
 */
export async function greeted(port: number, ended: Promise<unknown>, slowness = 1): Promise<void> {
  let over = false;
  ended.then(() => over = true);
  const deadline = performance.now() + START_TIMEOUT_MS * slowness;
  while (!over && performance.now() < deadline) {
    try {
      const dialogue = await openDialogue(port, GREETING_TIMEOUT_MS * slowness);
      const { code } = dialogue.greeting;
      dialogue.close();
      if (code === 220) return;
    } catch {
      // Not listening yet.
    }
    await pause(20);
  }
  throw new Error(over ? "the server ended at once" : `nothing greets on port ${port}`);
}

/** Waits as {@link greeted} does; ends the process if that fails. */
export async function greetedBy(child: Deno.ChildProcess, port: number): Promise<void> {
  try {
    await greeted(port, child.status);
  } catch (error) {
    await endProcess(child);
    throw error;
  }
}

/** Asks a process to end, kills it if it does not within 15 s, and waits for its end. */
export async function endProcess(child: Deno.ChildProcess): Promise<void> {
  const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await child.status;
  clearTimeout(killer);
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Whether a program can be started; it is run with `args` and must succeed. */
export async function runs(program: string, args: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Finds a program in the usual folders of Debian, root's included. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    try {
      if ((await Deno.stat(`${folder}/${name}`)).isFile) return `${folder}/${name}`;
    } catch {
      // Not in this one.
    }
  }
}
