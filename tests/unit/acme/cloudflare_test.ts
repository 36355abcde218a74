import assert from "node:assert/strict";
import { createCloudflare } from "../../../src/acme/cloudflare.ts";
import { createSender } from "../../../src/acme/https.ts";
import { systemClock } from "../../../src/clock/mod.ts";
import { createZone } from "../../support/zone.ts";

const { signal } = new AbortController();
const send = createSender({ clock: systemClock, resolver: createZone({}) });

interface Asked {
  readonly line: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** An API with one zone, `example.net`, as the documentation of Cloudflare describes it. */
function startApi(refuse?: { status: number; body: unknown }) {
  const asked: Asked[] = [];
  const records = new Map<string, unknown>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, searchParams, search } = new URL(request.url);
    const text = await request.text();
    const body = text === "" ? undefined : JSON.parse(text);
    asked.push({ line: `${request.method} ${pathname}${search}`, headers: Object.fromEntries(request.headers), body });
    if (refuse !== undefined) return Response.json(refuse.body, { status: refuse.status });
    if (pathname === "/v4/zones") {
      const found = searchParams.get("name") === "example.net" ? [{ id: "z1", name: "example.net" }] : [];
      return Response.json({ success: true, errors: [], result: found });
    }
    if (request.method === "POST") {
      records.set("r1", body);
      return Response.json({ success: true, errors: [], result: { id: "r1" } });
    }
    records.delete(pathname.split("/").at(-1) ?? "");
    return Response.json({ success: true, errors: [], result: { id: "r1" } });
  });
  return {
    asked,
    records,
    url: `http://127.0.0.1:${server.addr.port}/v4`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const RECORD = { name: "_acme-challenge.mx.example.net", value: "proof", ttl: 30 };
const SETTINGS = { secret: "token", email: undefined, timeout: 5_000, origin: undefined };

Deno.test("a record is made in the zone that holds the name, and removed by its id", async () => {
  await using api = startApi();
  const added = await createCloudflare({ ...SETTINGS, url: api.url }, send).add(RECORD, signal);
  assert.equal(added.zone, "example.net");
  assert.deepEqual(api.records.get("r1"), {
    type: "TXT",
    name: "_acme-challenge.mx.example.net",
    content: '"proof"',
    // The API takes no shorter life.
    ttl: 60,
  });
  await added.remove(signal);
  assert.equal(api.records.size, 0);
  assert.deepEqual(api.asked.map(({ line }) => line), [
    "GET /v4/zones?name=mx.example.net",
    "GET /v4/zones?name=example.net",
    "POST /v4/zones/z1/dns_records",
    "DELETE /v4/zones/z1/dns_records/r1",
  ]);
  for (const { headers } of api.asked) assert.equal(headers["authorization"], "Bearer token");
});

Deno.test("origin says which zone, an e-mail address that the secret is the key of an account", async () => {
  await using api = startApi();
  const settings = { ...SETTINGS, url: api.url, origin: "example.net", email: "ana@example.net" };
  await createCloudflare(settings, send).add(RECORD, signal);
  assert.equal(api.asked.length, 2);
  const { headers } = api.asked[0]!;
  assert.deepEqual([headers["x-auth-email"], headers["x-auth-key"], headers["authorization"]], [
    "ana@example.net",
    "token",
    undefined,
  ]);
});

Deno.test("a zone that the token does not reach, and what the API refuses, are told in its words", async () => {
  await using api = startApi();
  await assert.rejects(
    createCloudflare({ ...SETTINGS, url: api.url, origin: "other.example" }, send).add(RECORD, signal),
    /this token reaches no zone that holds _acme-challenge\.mx\.example\.net/,
  );
  await using refusing = startApi({
    status: 403,
    body: { success: false, errors: [{ code: 9109, message: "Invalid access token" }], result: null },
  });
  await assert.rejects(
    createCloudflare({ ...SETTINGS, url: refusing.url }, send).add(RECORD, signal),
    /Invalid access token \(9109\)/,
  );
  await using broken = startApi({ status: 502, body: "bad gateway" });
  await assert.rejects(createCloudflare({ ...SETTINGS, url: broken.url }, send).add(RECORD, signal), /status 502/);
});
