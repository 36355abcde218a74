/** Lists that are fetched by HTTP and kept in memory (`http-lookup.<id>`). */

import type { Clock, Timer } from "../clock/mod.ts";
import type { HttpLookupConfig } from "../config/config.ts";
import { LookupUnavailable, type Value } from "../expression/types.ts";
import type { Emit } from "../telemetry/event.ts";
import { createEntryReader, type ReadEntries } from "./http_list_entries.ts";
import type { KeyedList } from "./lists.ts";

/**
 * A list that is fetched again and again. While no fetch has succeeded yet, who asks waits for the one under way, and is
 * told that the list is unavailable when it fails. Later failures leave the old list in use.
 */
export interface HttpList extends KeyedList {
  /** Begins to fetch; asking for an entry does so too. */
  start(): void;
  /** Stops fetching. */
  close(): void;
}

/** What a list works with. */
export interface HttpListOptions {
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A shorter pause between two fetches would be an attack. */
const SHORTEST_PAUSE = 1000;

/** Makes the list that `config` describes. A list that is switched off is empty. */
export function createHttpList(config: HttpLookupConfig, { clock, emit }: HttpListOptions): HttpList {
  let entries: ReadonlyMap<string, Value> | undefined = config.enable ? undefined : new Map();
  let timer: Timer | undefined;
  let controller: AbortController | undefined;
  let first: Promise<void> | undefined;
  let closed = false;
  const fields = { id: config.id, url: withoutSecrets(config.url) };

  const refresh = async () => {
    const started = clock.now();
    controller = new AbortController();
    const { signal } = controller;
    const abort = controller;
    const limit = clock.after(config.timeout, () => abort.abort(new Error(`no list within ${config.timeout} ms`)));
    let pause = config.refresh;
    try {
      const read = await fetchEntries(config, signal);
      entries = read.entries;
      emit("store.http-store-fetch", {
        ...fields,
        entries: read.entries.size,
        skipped: read.skipped,
        elapsed: clock.now() - started,
      });
      if (read.truncated) {
        emit("store.http-store-cut", {
          ...fields,
          reason: `the list has more than ${config.limits.entries} entries (limits.entries), the rest is left out`,
        });
      }
    } catch (error) {
      if (closed) return;
      pause = config.retry;
      emit("store.http-store-error", {
        ...fields,
        reason: reasonOf(signal.aborted ? signal.reason : error, config.url),
      });
    } finally {
      limit.cancel();
      controller = undefined;
      first = undefined;
    }
    if (!closed) timer = clock.after(Math.max(SHORTEST_PAUSE, pause), () => void refresh());
  };

  const start = () => {
    if (closed || !config.enable || first !== undefined || timer !== undefined || entries !== undefined) return;
    first = refresh();
  };

  const known = (): ReadonlyMap<string, Value> | Promise<ReadonlyMap<string, Value>> => {
    if (entries !== undefined) return entries;
    start();
    return (first ?? Promise.resolve()).then(() => {
      if (entries !== undefined) return entries;
      throw new LookupUnavailable(`http-lookup.${config.id}: the list has not been fetched yet`);
    });
  };

  const ask = <T>(question: (list: ReadonlyMap<string, Value>) => T): T | Promise<T> => {
    const list = known();
    return list instanceof Promise ? list.then(question) : question(list);
  };

  return {
    get: (key) => ask((list) => list.get(key)),
    has: (key) => ask((list) => list.has(key)),
    start,
    close() {
      closed = true;
      timer?.cancel();
      controller?.abort(new Error("the list is not used any more"));
    },
  };
}

async function fetchEntries(config: HttpLookupConfig, signal: AbortSignal): Promise<ReadEntries> {
  const response = await fetch(config.url, { signal, headers: { "user-agent": "godwit", "accept": "*/*" } });
  try {
    if (response.status !== 200 || response.body === null) throw new Error(`the server answered ${response.status}`);
    const { size } = config.limits;
    const packed = bounded(response.body, size);
    const content = config.gzipped ? await unpacked(packed, size) : packed;
    const reader = createEntryReader(config);
    const decoder = new TextDecoder();
    for await (const bytes of content) {
      signal.throwIfAborted();
      reader.push(decoder.decode(bytes, { stream: true }));
    }
    reader.push(decoder.decode());
    return reader.end();
  } catch (error) {
    // The rest of the body is not wanted, nor is a complaint about that.
    await response.body?.cancel().catch(() => {});
    throw error;
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

async function* bounded(source: AsyncIterable<Bytes>, limit: number): AsyncGenerator<Bytes> {
  let total = 0;
  for await (const bytes of source) {
    total += bytes.length;
    if (total > limit) throw new Error(`the file is larger than ${limit} octets (limits.size)`);
    yield bytes;
  }
}

/**
 * The content of a gzip file (RFC 1952). A server that says `Content-Encoding: gzip` about it has had it unpacked
 * already, which shows in its first octets.
 */
async function unpacked(packed: AsyncGenerator<Bytes>, limit: number): Promise<AsyncGenerator<Bytes>> {
  const { value: head, done } = await packed.next();
  const whole = prepend(done ? undefined : head, packed);
  if (done || head[0] !== 0x1f || (head.length > 1 && head[1] !== 0x8b)) return whole;
  const content = ReadableStream.from(whole).pipeThrough(new DecompressionStream("gzip"));
  return bounded(content, limit);
}

async function* prepend(head: Bytes | undefined, rest: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  if (head !== undefined) yield head;
  yield* rest;
}

/** The URL as logs may show it: user name, password and query may be secret. */
function withoutSecrets(text: string): string {
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The runtime names the whole URL in its errors. */
function reasonOf(error: unknown, url: string): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/https?:\/\/[^\s)'"]+/g, withoutSecrets(url));
}

/** The lists of the configuration in force; one that a reload leaves as it was is not fetched again. */
export interface HttpLists {
  /** Gives the lists of a configuration by id; those of an earlier one that are not among them are closed. */
  use(configs: ReadonlyMap<string, HttpLookupConfig>): ReadonlyMap<string, HttpList>;
  /** Begins to fetch those in use. */
  start(): void;
  close(): void;
}

/** Makes an empty collection. */
export function createHttpLists(options: HttpListOptions): HttpLists {
  let current = new Map<string, { readonly list: HttpList; readonly config: string }>();
  return {
    use(configs) {
      const next = new Map<string, { readonly list: HttpList; readonly config: string }>();
      for (const [id, config] of configs) {
        const text = JSON.stringify(config);
        const known = current.get(id);
        next.set(
          id,
          known?.config === text ? known : { list: createHttpList(config, options), config: text },
        );
      }
      for (const [id, { list }] of current) if (next.get(id)?.list !== list) list.close();
      current = next;
      return new Map([...next].map(([id, { list }]) => [id, list]));
    },
    start() {
      for (const { list } of current.values()) list.start();
    },
    close() {
      for (const { list } of current.values()) list.close();
      current.clear();
    },
  };
}
