import assert from "node:assert/strict";
import { LookupUnavailable, type Scope } from "../../../src/expression/types.ts";
import { StoreUnavailable } from "../../../src/queue/types.ts";
import { settle } from "../../support/fake_clock.ts";
import { basic, httpConfig, message, STATS, world } from "./support.ts";

const ELSEWHERE = { remote: { ip: "192.0.2.7", port: 40_000 } };

Deno.test("health and readiness are told to everyone", async () => {
  const { ask } = world();
  for (const path of ["/healthz", "/healthz/live", "/readyz", "/healthz/ready"]) {
    const response = await ask(path, {}, ELSEWHERE);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
  }
  assert.equal((await ask("/healthz", { method: "HEAD" }, ELSEWHERE)).status, 200);
});

Deno.test("a server that is not ready says why with 503, and is alive all the same", async () => {
  const { ask } = world({ ready: () => ({ ready: false, reasons: ["the store cannot be reached", "draining"] }) });
  const response = await ask("/readyz", {}, ELSEWHERE);
  assert.equal(response.status, 503);
  assert.equal((await response.json()).detail, "Not ready for mail: the store cannot be reached; draining.");
  assert.equal((await ask("/healthz", {}, ELSEWHERE)).status, 200);
});

Deno.test("probes are not counted against a rate", async () => {
  const { ask } = world({ config: httpConfig({ rateLimit: RATE_OF_ONE }) });
  for (let i = 0; i < 5; i++) assert.equal((await ask("/readyz", {}, ELSEWHERE)).status, 200);
});

Deno.test("proofs of names are not counted either, and nothing else is found in their folder", async () => {
  const { ask } = world({
    config: httpConfig({ rateLimit: RATE_OF_ONE }),
    wellKnown: (path) => ({ contentType: "application/octet-stream", body: path }),
  });
  const folder = "/.well-known/acme-challenge/";
  for (let i = 0; i < 5; i++) {
    const response = await ask(`${folder}token${i}`, {}, ELSEWHERE);
    assert.equal(await response.text(), `${folder}token${i}`);
  }
  assert.equal((await ask(`${folder}x`, { method: "POST" }, ELSEWHERE)).status, 405);
  assert.equal((await ask(`${folder}x/y`, {}, ELSEWHERE)).status, 200);
  assert.equal((await ask(`${folder}../mta-sts.txt`, {}, ELSEWHERE)).status, 429);
  assert.equal((await ask(`${folder}../../api/status`, {}, ELSEWHERE)).status, 429);
});

Deno.test("errors of expressions are told as the events that they are, with the listener", async () => {
  const allowedEndpoint = {
    key: "http.allowed-endpoint",
    isConstant: false,
    evaluate({ onError }: Scope) {
      onError?.({ event: "eval.wrong-value", key: this.key, message: "expected an integer, found 'many'" });
      return 200;
    },
  };
  const { ask, events } = world({ config: httpConfig({ allowedEndpoint }) });
  assert.equal((await ask("/robots.txt", {}, { listener: "status", ...ELSEWHERE })).status, 200);
  assert.deepEqual(events.filter(({ name }) => name.startsWith("eval.")), [{
    name: "eval.wrong-value",
    fields: { listener: "status", key: "http.allowed-endpoint", reason: "expected an integer, found 'many'" },
  }]);
});

const RATE_OF_ONE = { anonymous: { count: 1, period: 60_000 }, account: { count: 2, period: 60_000 } };

Deno.test("anonymous requests are limited by address, and by /64 for IPv6", async () => {
  const { ask, clock } = world({ config: httpConfig({ rateLimit: RATE_OF_ONE }) });
  const robots = async (ip: string) => (await ask("/robots.txt", {}, { remote: { ip, port: 1 } })).status;
  assert.equal(await robots("192.0.2.7"), 200);
  assert.equal(await robots("::ffff:192.0.2.7"), 429);
  assert.equal(await robots("192.0.2.8"), 200);
  assert.equal(await robots("2001:db8::1"), 200);
  assert.equal(await robots("2001:db8::2"), 429);
  assert.equal(await robots("2001:db8:0:1::1"), 200);
  await clock.advance(59_999);
  assert.equal(await robots("192.0.2.7"), 429);
  await clock.advance(1);
  assert.equal(await robots("192.0.2.7"), 200);
});

Deno.test("requests with a login are limited by account, from wherever they come", async () => {
  const { ask } = world({ directoryHasAdministrators: true, config: httpConfig({ rateLimit: RATE_OF_ONE }) });
  const status = async (user: string, ip: string) =>
    (await ask("/api/queue/stats", { headers: basic(user, "right") }, { remote: { ip, port: 1 } })).status;
  assert.equal(await status("root", "192.0.2.1"), 200);
  assert.equal(await status("root", "192.0.2.2"), 200);
  assert.equal(await status("root", "192.0.2.3"), 429);
});

Deno.test("robots are sent away", async () => {
  const response = await world().ask("/robots.txt", {}, ELSEWHERE);
  assert.equal(await response.text(), "User-agent: *\nDisallow: /\n");
});

Deno.test("metrics are off by default and need their login where one is set", async () => {
  assert.equal((await world().ask("/metrics", {}, ELSEWHERE)).status, 404);

  const open = world({ config: httpConfig({ prometheus: { enable: true, auth: undefined } }) });
  for (const path of ["/metrics", "/metrics/prometheus"]) {
    const response = await open.ask(path, {}, ELSEWHERE);
    assert.equal(await response.text(), "godwit_events_total 1\n");
    assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  }

  const auth = { username: "prom", secret: "pa55" };
  const closed = world({ config: httpConfig({ prometheus: { enable: true, auth } }) });
  assert.equal((await closed.ask("/metrics", {}, ELSEWHERE)).status, 401);
  assert.equal((await closed.ask("/metrics", { headers: basic("prom", "wrong") })).status, 401);
  assert.equal((await closed.ask("/metrics", { headers: basic("wrong", "pa55") })).status, 401);
  assert.equal((await closed.ask("/metrics", { headers: basic("prom", "pa55") })).status, 200);
});

Deno.test("well-known paths are answered by host name without login", async () => {
  const { ask } = world({
    wellKnown: (path, host) =>
      path === "/.well-known/mta-sts.txt" && host === "mta-sts.example.net"
        ? { contentType: "text/plain", body: "version: STSv1\n" }
        : undefined,
  });
  const ok = await ask("/.well-known/mta-sts.txt", { headers: { host: "MTA-STS.example.net:443" } }, ELSEWHERE);
  assert.equal(await ok.text(), "version: STSv1\n");
  assert.equal((await ask("/.well-known/mta-sts.txt", {}, ELSEWHERE)).status, 404);
  assert.equal((await ask("/.well-known/%2e%2e/api/status", {}, ELSEWHERE)).status, 403);
});

Deno.test("messages are listed with a filter, page by page", async () => {
  const two = [message(), message({ id: "1a2b3d" })];
  const { ask, asked } = world({}, two);
  const all = await (await ask("/api/queue/messages")).json();
  assert.deepEqual(all, { messages: two, next: null });
  const first = await (await ask("/api/queue/messages?limit=1&state=held&sender=ana%40example.net&after=1a")).json();
  assert.equal(first.next, "1a2b3c");
  assert.deepEqual(asked, [
    'list {"limit":100}',
    'list {"limit":1,"state":"held","sender":"ana@example.net","after":"1a"}',
  ]);
});

Deno.test("a filter that cannot be read is told what would be right", async () => {
  const { ask } = world();
  const detail = async (query: string) => {
    const response = await ask(`/api/queue/messages?${query}`);
    assert.equal(response.status, 400);
    return (await response.json()).detail;
  };
  assert.match(await detail("limit=0"), /limit must be a number from 1 to 1000, found 0/);
  assert.match(await detail("limit=x"), /limit/);
  assert.match(
    await detail("state=lost"),
    /state must be one of queued, delivering, held, delivered, failed, found lost/,
  );
  assert.match(await detail("form=a"), /Unknown parameter form; known are id, state, sender/);
  assert.match(await detail("after=../x"), /after/);
});

Deno.test("one message is shown with its history; an unknown one is a 404", async () => {
  const { ask } = world();
  const shown = await (await ask("/api/queue/messages/1a2b3c")).json();
  assert.equal(shown.sender, "ana@example.net");
  assert.deepEqual(shown.events, []);
  const missing = await ask("/api/queue/messages/zzz");
  assert.equal(missing.status, 404);
  assert.match((await missing.json()).detail, /no message zzz/);
});

Deno.test("messages are retried, held, released and cancelled by id", async () => {
  const { ask, asked } = world();
  for (const action of ["retry", "hold", "release"]) {
    const response = await ask(`/api/queue/messages/1a2b3c/${action}`, { method: "POST" });
    assert.deepEqual(await response.json(), { id: "1a2b3c", action });
    assert.equal((await ask(`/api/queue/messages/nope/${action}`, { method: "POST" })).status, 404);
  }
  assert.equal((await ask("/api/queue/messages/1a2b3c", { method: "DELETE" })).status, 200);
  assert.equal((await ask("/api/queue/messages/a%20b", { method: "DELETE" })).status, 404);
  const by = "by loopback by HTTP from 127.0.0.1: 1a2b3c";
  assert.deepEqual(asked, [`retry ${by}`, `hold ${by}`, `release ${by}`, `cancel ${by}`]);
});

Deno.test("history hears the name of whoever is logged in", async () => {
  const { ask, asked } = world({ directoryHasAdministrators: true });
  const headers = basic("root", "right");
  assert.equal((await ask("/api/queue/messages/1a2b3c/hold", { method: "POST", headers })).status, 200);
  assert.deepEqual(asked, ["hold by root by HTTP from 127.0.0.1: 1a2b3c"]);
});

Deno.test("a message is rescheduled to a time or by a duration", async () => {
  const { ask, asked, clock } = world();
  const post = async (
    query: string,
  ) => (await ask(`/api/queue/messages/1a2b3c/reschedule?${query}`, { method: "POST" }));
  assert.equal((await post("at=2031-05-06T07:08:00Z")).status, 200);
  assert.equal((await post("in=2h")).status, 200);
  const later = new Date(clock.now() + 7_200_000).toISOString();
  const by = "by loopback by HTTP from 127.0.0.1: 1a2b3c";
  assert.deepEqual(asked, [`reschedule at 2031-05-06T07:08:00.000Z ${by}`, `reschedule at ${later} ${by}`]);
  for (
    const [query, expected] of [
      ["", /at or in must say when, such as in=2h/],
      ["at=2031-05-06T07:08:00Z&in=2h", /at or in must say when/],
      ["in=soon", /in must be a duration such as 30s .*, found soon/],
      ["at=2031-05-06", /at must be a time with its zone, such as 2026-01-31T18:00:00Z, found 2031-05-06/],
    ] as const
  ) {
    const response = await post(query);
    assert.equal(response.status, 400);
    assert.match((await response.json()).detail, expected);
  }
});

Deno.test("what matches a filter is changed together, or only counted", async () => {
  const { ask, asked } = world();
  const post = (path: string) => ask(`/api/queue/${path}`, { method: "POST" });
  const done = await post("cancel?sender=*%40spam.example&older-than=1h&error=connection");
  assert.deepEqual(await done.json(), { action: "cancel", recipients: 7 });
  const counted = await post("retry?all=true&dry-run=true");
  assert.deepEqual(await counted.json(), { action: "retry", dryRun: true, recipients: 7, messages: 3, samples: [] });
  await post("hold?all=true");
  await post("release?id=1a&id=1b");
  await post("reschedule?all=true&at=2031-05-06T07:08:00Z");
  const by = "by loopback by HTTP from 127.0.0.1";
  assert.deepEqual(asked, [
    `cancel {"sender":"*@spam.example","lastError":"connection","olderThan":3600000} ${by}: all`,
    `hold ${by}: all`,
    `release ${by}: 1a,1b`,
    `reschedule at 2031-05-06T07:08:00.000Z ${by}: all`,
  ]);
  for (
    const [path, expected] of [
      ["cancel", /Say by parameters which messages, or all=true/],
      ["cancel?all=yes", /all must be true or left out, found yes/],
      ["cancel?all=true&in=2h", /Unknown parameter in/],
      ["hold?older-than=x", /older-than must be a duration/],
      ["hold?source=x", /source must be one of authenticated, /],
    ] as const
  ) {
    const response = await post(path);
    assert.equal(response.status, 400, path);
    assert.match((await response.json()).detail, expected);
  }
});

Deno.test("a message can be fetched as it was accepted, and its envelope apart", async () => {
  const { ask } = world();
  const content = await ask("/api/queue/messages/1a2b3c/content");
  assert.equal(content.headers.get("content-type"), "message/rfc822");
  assert.equal(await content.text(), "Subject: hello\r\n\r\nhello\r\n");
  const envelope = await (await ask("/api/queue/messages/1a2b3c/envelope")).json();
  assert.deepEqual([envelope.id, envelope.parameters], ["1a2b3c", { body: "8bitmime" }]);
  for (const part of ["content", "envelope"]) assert.equal((await ask(`/api/queue/messages/zzz/${part}`)).status, 404);
});

Deno.test("a wrong method is told the right ones", async () => {
  const response = await world().ask("/api/queue/messages/1a2b3c/retry");
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("allow"), "POST");
  assert.equal((await response.json()).status, 405);
});

Deno.test("status gathers everything and answers 304 while nothing changes", async () => {
  const { ask, clock } = world();
  const response = await ask("/api/status");
  const body = await response.json();
  assert.deepEqual(body.queue, STATS);
  assert.equal(body.hostname, "mx.example.net");
  assert.equal(body.listeners[0].id, "smtp");
  assert.equal(body.mail, undefined);
  const tag = response.headers.get("etag") ?? "";
  await clock.advance(60_000);
  assert.equal((await ask("/api/status", { headers: { "if-none-match": tag } })).status, 304);
  assert.equal((await ask("/api/status", { headers: { "if-none-match": '"other"' } })).status, 200);
});

Deno.test("a store that is away: the API answers 503, the status still comes", async () => {
  const down = () => Promise.reject(new StoreUnavailable("disk full", true));
  const { deps } = world();
  const { ask } = world({ queue: { ...deps.queue, stats: down, list: down, recent: down, change: down } });
  assert.equal((await ask("/api/queue/stats")).status, 503);
  const retry = await ask("/api/queue/messages/1a2b3c/retry", { method: "POST" });
  assert.equal(retry.status, 503);
  assert.equal(retry.headers.get("retry-after"), "5");
  const status = await ask("/api/status");
  assert.equal(status.status, 200);
  assert.equal((await status.json()).queue, null);
});

Deno.test("a failure inside is a 500 that tells the client nothing and the log all", async () => {
  const { deps } = world();
  const { ask, events } = world({
    queue: { ...deps.queue, stats: () => Promise.reject(new Error("secret path /etc/x")) },
  });
  const response = await ask("/api/queue/stats");
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  assert.equal(events.find((event) => event.name === "http.error")?.fields.reason, "secret path /etc/x");
});

Deno.test("an answer that does not come within 30 s is a 503", async () => {
  const { deps } = world();
  const { ask, clock } = world({ queue: { ...deps.queue, stats: () => new Promise(() => {}) } });
  const asked = ask("/api/queue/stats");
  await settle();
  await clock.advance(30_000);
  assert.equal((await asked).status, 503);
});

Deno.test("requests over the bounds are refused", async () => {
  const { ask } = world();
  assert.equal((await ask(`/healthz?${"x".repeat(9000)}`)).status, 414);
  assert.equal((await ask("/healthz", { headers: { "x-filler": "x".repeat(40_000) } })).status, 431);
  const body = await ask("/api/queue/messages/1a2b3c/retry", {
    method: "POST",
    headers: { "content-length": "1000000" },
    body: "x",
  });
  assert.equal(body.status, 413);
});

Deno.test("http.allowed-endpoint decides per request with the variables of the context", async () => {
  const seen: Record<string, unknown>[] = [];
  const evaluate = ({ variables }: Scope) => {
    const { headers, ...others } = variables;
    seen.push({ ...others, hasHeader: (headers as string[]).includes("x-test: 1") });
    return variables.url_path === "/hidden" ? 404 : variables.url_path === "/moved" ? 301 : 200;
  };
  const { ask } = world({
    config: httpConfig({ allowedEndpoint: { key: "http.allowed-endpoint", isConstant: false, evaluate } }),
  });
  assert.equal((await ask("/hidden?a=1", { headers: { "x-test": "1" } }, ELSEWHERE)).status, 404);
  assert.equal((await ask("/moved")).status, 403);
  assert.equal((await ask("/healthz")).status, 200);
  assert.deepEqual(seen[0], {
    listener: "admin",
    protocol: "http",
    remote_ip: "192.0.2.7",
    remote_port: 40_000,
    local_ip: "127.0.0.1",
    local_port: 8025,
    is_tls: false,
    asn: 0,
    country: "",
    url: "http://127.0.0.1:8025/hidden?a=1",
    url_path: "/hidden",
    method: "GET",
    hasHeader: true,
  });
});

Deno.test("an endpoint rule that cannot reach what it looks up is a 503", async () => {
  const { ask } = world({
    config: httpConfig({
      allowedEndpoint: {
        key: "http.allowed-endpoint",
        isConstant: false,
        evaluate: () => Promise.reject(new LookupUnavailable("down")),
      },
    }),
  });
  assert.equal((await ask("/api/status")).status, 503);
});

Deno.test("behind a trusted proxy the client is the last forwarded address", async () => {
  const { ask, events } = world({
    config: httpConfig({ useXForwarded: true, authToken: "t", rateLimit: RATE_OF_ONE }),
  });
  const from = async (headers: Record<string, string>) => {
    await ask("/robots.txt", { headers });
    return events.filter((event) => event.name === "http.request-url").at(-1)?.fields.remoteIp;
  };
  assert.equal(await from({ "x-forwarded-for": "203.0.113.1, 198.51.100.2" }), "198.51.100.2");
  assert.equal(await from({ "x-forwarded-for": "2001:db8::7" }), "2001:db8::7");
  assert.equal(await from({ forwarded: 'for=203.0.113.9, for="[2001:db8::9]:4711";proto=https' }), "2001:db8::9");
  assert.equal(await from({ forwarded: "for=unknown" }), "127.0.0.1");
  assert.equal(events.filter((event) => event.name === "http.x-forwarded-missing").length, 0);
  assert.equal(await from({}), "127.0.0.1");
  assert.equal(events.filter((event) => event.name === "http.x-forwarded-missing").length, 1);
});

Deno.test("a forwarded address is not believed unless configured", async () => {
  const { ask, events } = world({ config: httpConfig({ authToken: "t" }) });
  await ask("/robots.txt", { headers: { "x-forwarded-for": "203.0.113.1" } }, ELSEWHERE);
  assert.equal(events.at(-1)?.fields.remoteIp, "192.0.2.7");
});

Deno.test("every response carries careful headers, and those of the configuration", async () => {
  const { ask } = world({
    config: httpConfig({ hsts: true, headers: ["X-Site: north", "Referrer-Policy: same-origin", "broken\r\nX: y"] }),
  });
  for (const path of ["/healthz", "/api/nothing", "/"]) {
    const { headers } = await ask(path);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'.*frame-ancestors 'none'/);
    assert.match(headers.get("strict-transport-security") ?? "", /^max-age=\d+/);
    assert.equal(headers.get("x-site"), "north");
    assert.equal(headers.get("referrer-policy"), "same-origin");
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("permissive CORS answers the preflight of the API and of nothing else", async () => {
  const { ask } = world({ config: httpConfig({ permissiveCors: true, authToken: "t" }) });
  const preflight = await ask("/api/queue/stats", { method: "OPTIONS", headers: { origin: "https://a.example" } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /authorization/);
  assert.equal((await ask("/", { method: "OPTIONS" })).status, 401);
});
