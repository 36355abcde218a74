import assert from "node:assert/strict";
import type { HttpLookupConfig } from "../../../src/config/config.ts";
import { createHttpLists } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { EventFields, EventName } from "../../../src/telemetry/event.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { within } from "../../support/within.ts";

const HOUR = 3_600_000;

type Answer = Response | Promise<Response>;

/** A web server whose answers the test decides, and a list that is fetched from it. */
function fixture(config: Partial<HttpLookupConfig> = {}) {
  const clock = new FakeClock();
  const state = { answer: (): Answer => new Response("a.example\n"), requests: 0 };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    state.requests++;
    return state.answer();
  });
  const waiting: { name: EventName; resolve: (fields: EventFields) => void }[] = [];
  const events: { name: EventName; fields: EventFields }[] = [];
  const lists = createHttpLists({
    clock,
    emit(name, fields = {}) {
      const index = waiting.findIndex((one) => one.name === name);
      if (index >= 0) waiting.splice(index, 1)[0]?.resolve(fields);
      else events.push({ name, fields });
    },
  });
  const full: HttpLookupConfig = {
    id: "l",
    enable: true,
    url: `http://user:pass@127.0.0.1:${server.addr.port}/list?key=secret`,
    format: { type: "list" },
    refresh: 12 * HOUR,
    retry: HOUR,
    timeout: 30_000,
    gzipped: false,
    limits: { size: 1000, entries: 100, entrySize: 100 },
    ...config,
  };
  const use = (configs: Partial<HttpLookupConfig> = {}) =>
    lists.use(new Map([["l", { ...full, ...configs }]])).get("l")!;
  return {
    clock,
    state,
    use,
    list: use(),
    /** The next event of this name. */
    event(name: EventName): Promise<EventFields> {
      const index = events.findIndex((one) => one.name === name);
      if (index >= 0) return Promise.resolve(events.splice(index, 1)[0]!.fields);
      const next = new Promise<EventFields>((resolve) => waiting.push({ name, resolve }));
      return within(next, () => `no event ${name} within 20 s`);
    },
    async [Symbol.asyncDispose]() {
      lists.close();
      await server.shutdown();
    },
  };
}

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

Deno.test("who asks first waits for the list", async () => {
  await using test = fixture();
  assert.equal(await test.list.has("a.example"), true);
  assert.equal(await test.list.has("b.example"), false);
  assert.equal(test.list.get("a.example"), true);
  const fields = await test.event("store.http-store-fetch");
  assert.equal(fields.entries, 1);
  assert.match(String(fields.url), /^http:\/\/127\.0\.0\.1:\d+\/list$/);
});

Deno.test("a list is fetched again after its time, and the new one counts", async () => {
  await using test = fixture();
  assert.equal(await test.list.has("a.example"), true);
  await test.event("store.http-store-fetch");
  test.state.answer = () => new Response("b.example\n");
  await test.clock.advance(12 * HOUR - 1);
  assert.equal(test.state.requests, 1);
  await test.clock.advance(1);
  await test.event("store.http-store-fetch");
  assert.equal(test.list.has("a.example"), false);
  assert.equal(test.list.has("b.example"), true);
});

Deno.test("a failure leaves the old list in use and is tried again after `retry`", async () => {
  await using test = fixture();
  assert.equal(await test.list.has("a.example"), true);
  await test.event("store.http-store-fetch");
  test.state.answer = () => new Response("gone", { status: 503 });
  await test.clock.advance(12 * HOUR);
  assert.match(String((await test.event("store.http-store-error")).reason), /503/);
  assert.equal(test.list.has("a.example"), true);
  test.state.answer = () => new Response("b.example\n");
  await test.clock.advance(HOUR);
  await test.event("store.http-store-fetch");
  assert.equal(test.list.has("b.example"), true);
});

Deno.test("a list that could never be fetched is unavailable, not empty", async () => {
  await using test = fixture();
  test.state.answer = () => new Response("no", { status: 404 });
  await assert.rejects(async () => await test.list.has("a.example"), LookupUnavailable);
  await assert.rejects(async () => await test.list.get("a.example"), LookupUnavailable);
  // Asking does not fetch again before its time.
  assert.equal(test.state.requests, 1);
  test.state.answer = () => new Response("a.example\n");
  await test.clock.advance(HOUR);
  await test.event("store.http-store-fetch");
  assert.equal(test.list.has("a.example"), true);
});

Deno.test("a list that is too long is used as far as it may be, and that is said", async () => {
  await using test = fixture();
  test.state.answer = () => new Response(Array.from({ length: 101 }, (_, i) => `${i}.e\n`).join(""));
  assert.equal(await test.list.has("99.e"), true);
  assert.equal(test.list.has("100.e"), false);
  assert.match(String((await test.event("store.http-store-cut")).reason), /more than 100 entries \(limits\.entries\)/);
});

Deno.test("a server that does not answer in time is given up", async () => {
  await using test = fixture({ timeout: 5000 });
  const answer = Promise.withResolvers<Response>();
  const asked = Promise.withResolvers<void>();
  test.state.answer = () => {
    asked.resolve();
    return answer.promise;
  };
  const found = Promise.resolve(test.list.has("a.example"));
  found.catch(() => {});
  await asked.promise;
  await test.clock.advance(5000);
  await assert.rejects(found, LookupUnavailable);
  assert.match(String((await test.event("store.http-store-error")).reason), /5000 ms/);
  answer.resolve(new Response(""));
});

Deno.test("a file that is larger than allowed is refused, packed or unpacked", async () => {
  await using test = fixture();
  test.state.answer = () => new Response("a.example\n".repeat(101));
  await assert.rejects(async () => await test.list.has("a.example"), LookupUnavailable);
  assert.match(String((await test.event("store.http-store-error")).reason), /larger than 1000 octets/);

  await using bomb = fixture({ gzipped: true });
  const packed = await gzip("a.example\n".repeat(10_000));
  assert.ok(packed.length < 1000);
  bomb.state.answer = () => new Response(packed);
  await assert.rejects(async () => await bomb.list.has("a.example"), LookupUnavailable);
  assert.match(String((await bomb.event("store.http-store-error")).reason), /larger than 1000 octets/);
});

Deno.test("an error does not show the secrets of the URL", async () => {
  await using test = fixture();
  const list = test.use({ url: "http://user:pass@127.0.0.1:1/list?key=secret" });
  await assert.rejects(async () => await list.has("a.example"), LookupUnavailable);
  const fields = await test.event("store.http-store-error");
  assert.equal(fields.url, "http://127.0.0.1:1/list");
  assert.doesNotMatch(JSON.stringify(fields), /pass|secret/);
});

Deno.test("a gzip file is unpacked, and one that the server had unpacked is taken as it is", async () => {
  const packed = await gzip("a.example\nb.example\n");
  await using test = fixture({ gzipped: true });
  test.state.answer = () => new Response(packed);
  assert.equal(await test.list.has("b.example"), true);

  await using encoded = fixture({ gzipped: true });
  encoded.state.answer = () => new Response(packed, { headers: { "content-encoding": "gzip" } });
  assert.equal(await encoded.list.has("b.example"), true);

  await using broken = fixture({ gzipped: true });
  broken.state.answer = () => new Response(packed.slice(0, 15));
  await assert.rejects(async () => await broken.list.has("b.example"), LookupUnavailable);
});

Deno.test("a reload that leaves a list as it was does not fetch it again", async () => {
  await using test = fixture();
  assert.equal(await test.list.has("a.example"), true);
  assert.equal(test.use(), test.list);
  assert.equal(test.state.requests, 1);
  test.state.answer = () => new Response("x.example\n");
  const next = test.use({ timeout: 1000 });
  assert.equal(await next.has("x.example"), true);
});

Deno.test("a list that is switched off is empty and never fetched", async () => {
  await using test = fixture({ enable: false });
  test.list.start();
  assert.equal(test.list.has("a.example"), false);
  assert.equal(test.state.requests, 0);
});
