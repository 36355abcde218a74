/** `godwit trace`: follows the dialogues of a running server. */

import { ApiError, type ApiOptions, askApi } from "./api_client.ts";
import { load } from "./configuration.ts";
import { type Output, printable } from "./output.ts";

/** Options of `godwit trace`. */
export interface TraceOptions extends ApiOptions {
  readonly config?: string;
  readonly address?: string;
  readonly domain?: string;
  readonly peer?: string;
  readonly in?: boolean;
  readonly out?: boolean;
  readonly json?: boolean;
}

/** A line of `/api/trace`. */
type Line =
  | { readonly lost: number }
  | {
    readonly time: string;
    readonly direction: "in" | "out";
    readonly session: string;
    readonly peer: string;
    readonly host: string;
    readonly listener: string;
    readonly from: "client" | "server" | "note";
    readonly text: readonly string[];
  };

/**
 * Prints lines until Ctrl-C.
 *
 * @param signal ends it from elsewhere
 * @returns 0 after Ctrl-C, 1 if the server cannot be asked or ends the stream, 2 for a wrong command line
 */
export async function trace(options: TraceOptions, output: Output, signal?: AbortSignal): Promise<number> {
  if (options.in === true && options.out === true) {
    output.error("--in and --out exclude each other; without either both directions are shown");
    return 2;
  }
  const config = options.url === undefined ? await load(options.config, output) : undefined;
  if (options.url === undefined && config === undefined) return 1;
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  signal?.addEventListener("abort", stop);
  Deno.addSignalListener("SIGINT", stop);
  try {
    const { address, domain, peer } = options;
    const direction = options.in === true ? "in" : options.out === true ? "out" : undefined;
    const response = await askApi(config, options, "/api/trace", { address, domain, peer, direction }, stopping.signal);
    if (options.json !== true) output.error("following dialogues; Ctrl-C ends it");
    await printLines(response, options.json === true, output);
    output.error("the server has ended the trace");
    return 1;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    output.error(`godwit trace: ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", stop);
    signal?.removeEventListener("abort", stop);
  }
}

/** Longest line that is taken in, in characters. */
const LONGEST = 1_000_000;

async function printLines(response: Response, json: boolean, output: Output): Promise<void> {
  if (response.body === null) return;
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST) throw new ApiError("what answers there is no godwit: a line has no end");
    for (const line of lines) {
      if (line === "") continue;
      if (json) output.print(line);
      else for (const readable of format(JSON.parse(line))) output.print(readable);
    }
  }
}

const MARKS = { client: "C:", server: "S:", note: "--" } as const;

function format(line: Line): string[] {
  if ("lost" in line) return [`-- ${line.lost} lines are missing here: they came faster than they were read`];
  const { time, direction, session, peer, host, listener, from, text } = line;
  const who = direction === "in" ? `${listener} ${peer}` : `${host}${host === peer ? "" : `[${peer}]`}`;
  const head = `${time.slice(11, 23)} ${direction.padEnd(3)} ${session} ${who}`;
  return text.map((one) => printable(`${head} ${MARKS[from]} ${one}`));
}
