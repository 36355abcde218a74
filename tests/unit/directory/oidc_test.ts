import assert from "node:assert/strict";
import type { OidcDirectoryConfig } from "../../../src/config/config.ts";
import { createOidcDirectory } from "../../../src/directory/oidc.ts";
import type { Directory } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const CONFIG: OidcDirectoryConfig = {
  id: "login",
  type: "oidc",
  domains: ["example.net"],
  endpoint: { url: "https://login.example/me", method: "userinfo" },
  timeout: 15_000,
  auth: { method: "none" },
  fields: { email: "email", username: "preferred_username", fullName: "name" },
};

interface Call {
  readonly url: string;
  readonly method: string;
  readonly authorization: string | null;
  readonly body: string;
  readonly redirect: string | undefined;
}

/** A directory over a provider that answers as told. */
function providerOf(
  answer: (call: Call) => Response | Promise<Response>,
  changes: Partial<OidcDirectoryConfig> = {},
): { readonly directory: Directory; readonly calls: Call[]; readonly clock: FakeClock } {
  const calls: Call[] = [];
  const clock = new FakeClock();
  const directory = createOidcDirectory({ ...CONFIG, ...changes }, {
    clock,
    fetch: async (url, init) => {
      const call: Call = {
        url,
        method: init.method ?? "GET",
        authorization: new Headers(init.headers).get("Authorization"),
        body: String(init.body ?? ""),
        redirect: init.redirect,
      };
      calls.push(call);
      const aborted = new Promise<never>((_, reject) =>
        init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")))
      );
      return await Promise.race([answer(call), aborted]);
    },
  });
  return { directory, calls, clock };
}

const ANA = { sub: "248289761001", email: "ana@Example.NET", preferred_username: "ana", name: "Ana Lima" };
const kindOf = async (directory: Directory, token = "good", name = "") => (await directory.token!(token, name)).kind;
const unavailable = (pattern: RegExp) => (error: unknown) =>
  error instanceof LookupUnavailable && pattern.test(error.message) || assert.fail(`${error}`);
const introspect = (changes: Partial<OidcDirectoryConfig> = {}): Partial<OidcDirectoryConfig> => ({
  endpoint: { url: "https://login.example/introspect", method: "introspect" },
  ...changes,
});

Deno.test("userinfo is asked with the user's token and gives the account", async () => {
  const { directory, calls } = providerOf(() => Response.json(ANA));
  assert.deepEqual(await directory.token!("mF_9.B5f-4.1JqM", "ana@example.net"), {
    kind: "accepted",
    account: { name: "ana", class: "individual", description: "Ana Lima", emails: ["ana@example.net"] },
  });
  // RFC 6750 §2.1; a redirect would carry the token elsewhere.
  assert.deepEqual(calls, [{
    url: "https://login.example/me",
    method: "GET",
    authorization: "Bearer mF_9.B5f-4.1JqM",
    body: "",
    redirect: "error",
  }]);
});

Deno.test("a token is that of its account only", async () => {
  const { directory } = providerOf(() => Response.json(ANA));
  for (const name of ["", "ana", "ANA", "ana@example.net"]) {
    assert.equal(await kindOf(directory, "good", name), "accepted");
  }
  for (const name of ["bob", "ana@example.org", "248289761001"]) {
    assert.equal(await kindOf(directory, "good", name), "refused");
  }
});

Deno.test("a bad token is refused, a provider that cannot be asked is no answer", async () => {
  for (const status of [400, 401, 403]) {
    const { directory } = providerOf(() => Response.json({ error: "invalid_token" }, { status }));
    assert.equal(await kindOf(directory), "refused", String(status));
  }
  for (
    const answer of [
      () => new Response("busy", { status: 503 }),
      () => new Response("moved", { status: 302 }),
      () => new Response("<html>", { status: 200 }),
      () => Response.json(["ana"]),
      () => Response.json({ sub: "1" }),
      () => new Response("x".repeat(70_000)),
      () => Promise.reject(new TypeError("connection refused")),
    ]
  ) {
    const { directory } = providerOf(answer);
    await assert.rejects(directory.token!("good", ""), unavailable(/^directory login: https:\/\/login\.example\/me /));
  }
  const { directory, calls } = providerOf(() => Response.json(ANA));
  for (const token of ["", "a b", "a\r\nX: y", "ä"]) assert.equal(await kindOf(directory, token), "refused");
  assert.deepEqual(calls, []);
});

Deno.test("an answer is waited for as long as the configuration says", async () => {
  const { directory, clock } = providerOf(() => new Promise(() => {}));
  const outcome = assert.rejects(directory.token!("good", ""), unavailable(/did not answer within 15 s/));
  await settle();
  await clock.advance(15_000);
  await outcome;
});

Deno.test("introspection takes active tokens only, and presents itself as configured", async () => {
  for (
    const [active, kind] of [[true, "accepted"], [false, "refused"], ["true", "refused"], [
      undefined,
      "refused",
    ]] as const
  ) {
    const { directory, calls } = providerOf(() => Response.json({ ...ANA, active }), introspect());
    assert.equal(await kindOf(directory), kind, String(active));
    // RFC 7662 §2.1
    assert.deepEqual([calls[0]?.method, calls[0]?.body], ["POST", "token=good&token_type_hint=access_token"]);
  }
  // RFC 7662 §2.2: times in seconds. The clock stands at 2026-01-05T12:00:00Z.
  const now = Date.UTC(2026, 0, 5, 12) / 1000;
  for (
    const [times, kind] of [
      [{ exp: now + 1 }, "accepted"],
      [{ exp: now }, "refused"],
      [{ exp: now - 3600 }, "refused"],
      [{ nbf: now }, "accepted"],
      [{ nbf: now + 1 }, "refused"],
      [{ exp: "soon" }, "accepted"],
    ] as const
  ) {
    const { directory } = providerOf(() => Response.json({ ...ANA, active: true, ...times }), introspect());
    assert.equal(await kindOf(directory), kind, JSON.stringify(times));
  }
  for (
    const [auth, authorization] of [
      [{ method: "none" }, null],
      // RFC 6749 §2.3.1: form-encoded, then base64 of "gate:p%25+ss".
      [{ method: "basic", username: "gate", secret: "p% ss" }, "Basic Z2F0ZTpwJTI1K3Nz"],
      [{ method: "token", token: "ours" }, "Bearer ours"],
      [{ method: "user-token" }, "Bearer good"],
    ] as const
  ) {
    const { directory, calls } = providerOf(() => Response.json({ ...ANA, active: true }), introspect({ auth }));
    assert.equal(await kindOf(directory), "accepted");
    assert.equal(calls[0]?.authorization, authorization);
  }
});

Deno.test("401 from introspection is about our credentials, unless they are the user's", async () => {
  const denied = () => Response.json({ error: "invalid_client" }, { status: 401 });
  for (const auth of [{ method: "none" }, { method: "token", token: "ours" }] as const) {
    const { directory } = providerOf(denied, introspect({ auth }));
    await assert.rejects(directory.token!("good", ""), unavailable(/answered 401/));
  }
  const { directory } = providerOf(denied, introspect({ auth: { method: "user-token" } }));
  assert.equal(await kindOf(directory), "refused");
});

Deno.test("fields have the names of the configuration; an address nobody has verified is not the account's", async () => {
  const fields = { email: "mail", username: "login", fullName: "display" };
  const { directory } = providerOf(() => Response.json({ mail: "a@b.example", login: "a", display: "A" }), { fields });
  const result = await directory.token!("good", "");
  assert.deepEqual(result.kind === "accepted" && result.account, {
    name: "a",
    class: "individual",
    description: "A",
    emails: ["a@b.example"],
  });
  const { directory: unverified } = providerOf(() => Response.json({ ...ANA, email_verified: false }));
  const other = await unverified.token!("good", "");
  assert.deepEqual(other.kind === "accepted" && other.account.emails, []);
  const { directory: byEmail } = providerOf(() => Response.json({ email: "ana@example.net" }));
  const third = await byEmail.token!("good", "");
  assert.equal(third.kind === "accepted" && third.account.name, "ana@example.net");
});

Deno.test("it knows its domains, and neither recipients nor passwords", async () => {
  const { directory, calls } = providerOf(() => Response.json(ANA));
  assert.equal(directory.isLocalDomain("EXAMPLE.net"), true);
  assert.equal(directory.isLocalDomain("example.org"), false);
  assert.deepEqual(directory.recipients("ana@example.net"), []);
  assert.deepEqual(await directory.login("ana", "good"), { kind: "refused" });
  assert.deepEqual(calls, []);
});

Deno.test("a real server is asked over HTTP, and a redirect is not followed", async () => {
  const seen: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    seen.push(pathname);
    if (pathname === "/moved") return new Response(null, { status: 302, headers: { Location: "/me" } });
    return request.headers.get("Authorization") === "Bearer good"
      ? Response.json(ANA)
      : new Response("no", { status: 401 });
  });
  const directory = (path: string) =>
    createOidcDirectory({
      ...CONFIG,
      endpoint: { url: `http://127.0.0.1:${server.addr.port}${path}`, method: "userinfo" },
    }, { clock: new FakeClock() });
  try {
    assert.equal(await kindOf(directory("/me")), "accepted");
    assert.equal(await kindOf(directory("/me"), "bad"), "refused");
    await assert.rejects(directory("/moved").token!("good", ""), unavailable(/cannot be asked/));
    assert.deepEqual(seen, ["/me", "/me", "/moved"]);
  } finally {
    await server.shutdown();
  }
});
