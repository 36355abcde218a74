import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import { basic, httpConfig, world } from "./support.ts";

const ELSEWHERE = { remote: { ip: "192.0.2.7", port: 40_000 } };
const TOKEN = "s3cret-token";

Deno.test("with no administrator configured, this machine is served by a loopback address and name", async () => {
  const { ask } = world();
  assert.equal((await ask("/api/queue/stats")).status, 200);
  for (const host of ["localhost", "localhost:8025", "[::1]:8025", "127.9.9.9", "LOCALHOST."]) {
    assert.equal((await ask("/api/queue/stats", { headers: { host } })).status, 200, host);
  }
  const mapped = { remote: { ip: "::ffff:127.0.0.1", port: 1 } };
  assert.equal((await ask("/api/queue/stats", {}, mapped)).status, 200);
});

Deno.test("with no administrator configured, other hosts are refused with the reason", async () => {
  const { ask, events } = world();
  const response = await ask("/api/queue/stats", {}, ELSEWHERE);
  assert.equal(response.status, 403);
  assert.equal(response.headers.get("content-type"), "application/problem+json; charset=utf-8");
  const body = await response.json();
  assert.equal(body.status, 403);
  assert.match(body.detail, /No administrator is configured.*http\.auth\.token/);
  assert.deepEqual(events[0]?.name, "security.unauthorized");
});

Deno.test("a foreign host name on a loopback connection is refused: DNS rebinding", async () => {
  const { ask } = world();
  for (const host of ["evil.example", "localhost.evil.example", "192.0.2.7", "127.0.0.1.evil.example", ""]) {
    assert.equal((await ask("/api/queue/stats", { headers: { host } })).status, 403, host);
  }
});

Deno.test("a forwarding header on a loopback connection is refused: the client is behind a proxy", async () => {
  const { ask } = world();
  for (const name of ["forwarded", "x-forwarded-for", "x-real-ip", "via", "x-forwarded-proto"]) {
    assert.equal((await ask("/", { headers: { [name]: "127.0.0.1" } })).status, 403, name);
  }
});

Deno.test("a token opens the API from anywhere, and loopback alone no longer does", async () => {
  const { ask } = world({ config: httpConfig({ authToken: TOKEN }) });
  const good = { headers: { authorization: `Bearer ${TOKEN}` } };
  assert.equal((await ask("/api/queue/stats", good, ELSEWHERE)).status, 200);
  const none = await ask("/api/queue/stats");
  assert.equal(none.status, 401);
  assert.equal(none.headers.get("www-authenticate"), 'Bearer realm="godwit"');
  for (
    const authorization of [`Bearer ${TOKEN}x`, "Bearer", `Token ${TOKEN}`, basic("token", TOKEN).authorization ?? ""]
  ) {
    assert.equal((await ask("/api/queue/stats", { headers: { authorization } })).status, 401, authorization);
  }
});

Deno.test("principals of class admin may, others with a good password may not", async () => {
  const { ask, events } = world({ directoryHasAdministrators: true });
  assert.equal((await ask("/", { headers: basic("root", "right") }, ELSEWHERE)).status, 200);
  assert.equal((await ask("/", { headers: basic("root", "wrong") }, ELSEWHERE)).status, 401);
  const user = await ask("/", { headers: basic("ana", "right") }, ELSEWHERE);
  assert.equal(user.status, 401);
  assert.equal(user.headers.get("www-authenticate"), 'Basic realm="godwit", charset="UTF-8"');
  assert.equal((await ask("/")).status, 401);
  assert.deepEqual(
    events.filter((event) => event.name === "auth.failed").map((event) => event.fields.account),
    ["root", "ana"],
  );
});

Deno.test("the fallback administrator is checked with the configured secret", async () => {
  const { ask } = world({
    config: httpConfig({ fallbackAdmin: { user: "admin", secret: "{hash}x" } }),
    verifySecret: (secret, password) => Promise.resolve(secret === "{hash}x" && password === "pa:ss wörd"),
  });
  assert.equal((await ask("/", { headers: basic("admin", "pa:ss wörd") }, ELSEWHERE)).status, 200);
  assert.equal((await ask("/", { headers: basic("admin", "{hash}x") }, ELSEWHERE)).status, 401);
  assert.equal((await ask("/", { headers: basic("other", "pa:ss wörd") }, ELSEWHERE)).status, 401);
});

Deno.test("a good login is not checked again for a minute, a bad one always is", async () => {
  let checks = 0;
  const { ask, clock } = world({
    directoryHasAdministrators: true,
    login(name, password) {
      checks++;
      return Promise.resolve(
        password === "right"
          ? { kind: "accepted", account: { name, class: "admin", emails: [] } }
          : { kind: "refused" },
      );
    },
  });
  for (let i = 0; i < 3; i++) await ask("/", { headers: basic("root", "right") });
  assert.equal(checks, 1);
  for (let i = 0; i < 3; i++) await ask("/", { headers: basic("root", "wrong") });
  assert.equal(checks, 4);
  await clock.advance(61_000);
  await ask("/", { headers: basic("root", "right") });
  assert.equal(checks, 5);
});

Deno.test("a directory that cannot be reached is a 503, not a refusal", async () => {
  const { ask, events } = world({
    directoryHasAdministrators: true,
    login: () => Promise.reject(new LookupUnavailable("down")),
  });
  const response = await ask("/", { headers: basic("root", "right") });
  assert.equal(response.status, 503);
  assert.ok(response.headers.has("retry-after"));
  assert.ok(!events.some((event) => event.name === "auth.failed"));
});

Deno.test("guessing is slowed down: after so many wrong logins a right one is not looked at either", async () => {
  const { ask, clock } = world({ directoryHasAdministrators: true });
  for (let i = 0; i < 100; i++) {
    assert.equal((await ask("/", { headers: basic("root", `guess ${i}`) }, ELSEWHERE)).status, 401);
  }
  const limited = await ask("/", { headers: basic("root", "right") }, ELSEWHERE);
  assert.equal(limited.status, 429);
  assert.equal(limited.headers.get("retry-after"), "1");
  await clock.advance(1000);
  assert.equal((await ask("/", { headers: basic("root", "right") }, ELSEWHERE)).status, 200);
});

Deno.test("visitors without a login do not use up the logins of their address", async () => {
  const { ask } = world({ directoryHasAdministrators: true });
  for (let i = 0; i < 100; i++) assert.equal((await ask("/robots.txt", {}, ELSEWHERE)).status, 200);
  assert.equal((await ask("/robots.txt", {}, ELSEWHERE)).status, 429);
  assert.equal((await ask("/", {}, ELSEWHERE)).status, 429);
  assert.equal((await ask("/", { headers: basic("root", "right") }, ELSEWHERE)).status, 200);
  assert.equal((await ask("/", { headers: basic("root", "guess") }, ELSEWHERE)).status, 401);
});

Deno.test("a login that was right lately, and the bearer token, count however many guesses their address made", async () => {
  const { ask, clock } = world({ directoryHasAdministrators: true, config: httpConfig({ authToken: TOKEN }) });
  const status = async (headers: Record<string, string>) => (await ask("/", { headers }, ELSEWHERE)).status;
  assert.equal(await status(basic("root", "right")), 200);
  for (let i = 0; i < 100; i++) assert.equal(await status(basic("root", `guess ${i}`)), 401);
  assert.equal(await status(basic("root", "guess")), 429);
  assert.equal(await status({ authorization: "Bearer wrong" }), 429);
  assert.equal(await status(basic("root", "right")), 200);
  assert.equal(await status({ authorization: `Bearer ${TOKEN}` }), 200);
  // Good requests used up no guess: one comes back in 600 ms.
  await clock.advance(600);
  assert.equal(await status({ authorization: "Bearer wrong" }), 401);
  assert.equal(await status({ authorization: "Bearer wrong" }), 429);
});

Deno.test("every path that is not public asks for access, also those that do not exist", async () => {
  const { ask } = world({ config: httpConfig({ authToken: TOKEN }) });
  for (
    const path of ["/", "/api", "/api/status", "/api/nothing", "/nothing", "/messages/1", "/mail", "/assets/x", "//"]
  ) {
    assert.equal((await ask(path)).status, 401, path);
  }
});

Deno.test("another site's page cannot change anything with the browser's login", async () => {
  const { ask, asked } = world({ directoryHasAdministrators: true });
  const login = basic("root", "right");
  const post = (headers: Record<string, string>) =>
    ask("/api/queue/messages/1a2b3c/retry", { method: "POST", headers: { ...login, ...headers } });
  assert.equal((await post({ origin: "https://evil.example" })).status, 403);
  assert.equal((await post({ origin: "null" })).status, 403);
  assert.equal((await post({ "sec-fetch-site": "cross-site" })).status, 403);
  assert.equal((await post({ "sec-fetch-site": "same-site", origin: "http://127.0.0.1:8025" })).status, 403);
  assert.equal((await post({ origin: "http://127.0.0.1:9000" })).status, 403);
  assert.deepEqual(asked, []);
  assert.equal((await post({ origin: "http://127.0.0.1:8025" })).status, 200);
  assert.equal((await post({ "sec-fetch-site": "same-origin" })).status, 200);
  assert.equal((await post({})).status, 200, "programs that are not browsers send neither header");
});

Deno.test("a bearer token may come from another site's page: browsers never add it on their own", async () => {
  const { ask } = world({ config: httpConfig({ authToken: TOKEN, permissiveCors: true }) });
  const response = await ask("/api/queue/messages/1a2b3c/retry", {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, origin: "https://console.example" },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
});

Deno.test("without a login, permissive CORS does not let other sites read from this machine", async () => {
  const { ask } = world({ config: httpConfig({ permissiveCors: true }) });
  assert.equal((await ask("/api/status", { headers: { origin: "https://evil.example" } })).status, 403);
  assert.equal((await ask("/api/status")).status, 200);
});
