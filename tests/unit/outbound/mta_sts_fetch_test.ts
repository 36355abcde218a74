import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { systemClock } from "../../../src/clock/mod.ts";
import { createPolicyFetch, type FetchOptions, StsFetchError } from "../../../src/outbound/mta_sts_fetch.ts";
import { makeCertificate, type TestCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

const DAY = 86_400_000;
const HOST = "mta-sts.d.example";
const root = await makeCertificate({ names: ["test root"], authority: true });
const good = await makeCertificate({ names: [HOST], issuer: root });
const wildcard = await makeCertificate({ names: ["*.d.example"], issuer: root });
const misnamed = await makeCertificate({ names: ["www.d.example"], issuer: root });
const expired = await makeCertificate({ names: [HOST], issuer: root, notAfter: new Date(Date.now() - DAY / 2) });
const selfSigned = await makeCertificate({ names: [HOST] });

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers a request as a server of policies does. */
function say(body: string, status = 200, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "text/plain", ...headers });
    response.end(body);
  };
}

interface Setting {
  readonly certificate?: TestCertificate;
  readonly zone?: Readonly<Record<string, ZoneEntry>>;
  readonly options?: Partial<FetchOptions>;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Fetches the policy of d.example from a server on this machine; gives its text, or type and text of the error. */
async function fetchFrom(answer: Answer, setting: Setting = {}): Promise<string | [string, string]> {
  const { certificate = good, zone = { [HOST]: { a: ["127.0.0.1"] } } } = setting;
  const server = createServer({ cert: certificate.cert, key: certificate.privateKey }, answer);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const fetch = createPolicyFetch({
    resolver: createZone(zone),
    clock: systemClock,
    port,
    ca: [root.cert],
    ...setting.options,
  });
  try {
    return await fetch("d.example", setting.timeout ?? 60_000, setting.signal ?? new AbortController().signal);
  } catch (error) {
    if (!(error instanceof StsFetchError)) throw error;
    return [error.type, error.message];
  } finally {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

const FETCH = "sts-policy-fetch-error";
const PKI = "sts-webpki-invalid";

/** Asserts that the fetch fails in a certain way. */
function assertFails(outcome: string | [string, string], type: string, text: RegExp): void {
  assert.ok(typeof outcome !== "string", "it was fetched");
  assert.equal(outcome[0], type, outcome[1]);
  assert.match(outcome[1], text);
}

Deno.test("the policy is asked for at its well-known place, by the name of the policy host", async () => {
  const asked: unknown[] = [];
  const outcome = await fetchFrom((request, response) => {
    asked.push([request.method, request.url, request.headers.host]);
    say("version: STSv1\r\n", 200, { "content-type": "Text/Plain; charset=utf-8" })(request, response);
  });
  assert.equal(outcome, "version: STSv1\r\n");
  assert.deepEqual(asked, [["GET", "/.well-known/mta-sts.txt", HOST]]);
});

Deno.test("a wildcard certificate does, and so does the second address when the first is dead", async () => {
  // Nothing listens on that address of the machine.
  const zone = { [HOST]: { a: ["127.0.0.99", "127.0.0.1"] } };
  assert.equal(await fetchFrom(say("ok"), { certificate: wildcard, zone }), "ok");
});

// RFC 8461 §3.3
Deno.test("a certificate that does not verify is an error of its own", async () => {
  for (const certificate of [misnamed, expired, selfSigned]) {
    assertFails(await fetchFrom(say("ok"), { certificate }), PKI, /certificate of mta-sts\.d\.example does not verify/);
  }
});

Deno.test("redirects are not followed, and nothing but 200 counts", async () => {
  const location = `https://${HOST}/elsewhere`;
  for (const status of [301, 302, 307, 308]) {
    assertFails(await fetchFrom(say("", status, { location })), FETCH, new RegExp(`status ${status}`));
  }
  for (const status of [204, 206, 404, 500]) {
    assertFails(await fetchFrom(say("", status)), FETCH, new RegExp(`status ${status}`));
  }
});

Deno.test("another media type is refused", async () => {
  for (const type of ["text/html", "application/octet-stream", "text/plainer", ""]) {
    assertFails(await fetchFrom(say("ok", 200, { "content-type": type })), FETCH, /instead of text\/plain/);
  }
});

Deno.test("64 KB are the most, whether their number is told before or not", async () => {
  const most = "a".repeat(64 * 1024);
  assert.equal(await fetchFrom(say(most)), most);
  assertFails(await fetchFrom(say(`${most}a`)), FETCH, /more than 65536 octets/);
  const endless: Answer = (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    response.on("error", () => {});
    const more = () => void (response.destroyed || response.write(most.slice(0, 8192), () => setImmediate(more)));
    more();
  };
  assertFails(await fetchFrom(endless), FETCH, /more than 65536 octets/);
});

Deno.test("a server that breaks off, or speaks no HTTP, is an error", async () => {
  const half: Answer = (request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": "100" });
    response.write("version: STSv1\n", () => request.socket.destroy());
  };
  assertFails(await fetchFrom(half), FETCH, /mta-sts\.d\.example/);
  assertFails(await fetchFrom((request) => request.socket.end("220 ready\r\n")), FETCH, /mta-sts\.d\.example/);
});

Deno.test("a host without an address, or one that cannot be looked up, is an error", async () => {
  assertFails(await fetchFrom(say("ok"), { zone: {} }), FETCH, /has no address/);
  assertFails(await fetchFrom(say("ok"), { zone: { [HOST]: { error: "servfail" } } }), FETCH, /could not be looked up/);
});

Deno.test("a server that says nothing is given up at the limit, and when the program stops", async () => {
  const clock = new FakeClock(Date.now());
  let begun = () => {};
  const reached = new Promise<void>((resolve) => begun = resolve);
  const outcome = fetchFrom(() => begun(), { options: { clock }, timeout: 30_000 });
  await reached;
  await clock.advance(30_000);
  assertFails(await outcome, FETCH, /did not answer within 30 s/);

  const stop = new AbortController();
  const second = fetchFrom(() => stop.abort(), { options: { clock: new FakeClock(Date.now()) }, signal: stop.signal });
  assertFails(await second, FETCH, /the program stops/);
});
