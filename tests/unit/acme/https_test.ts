import assert from "node:assert/strict";
import { createSender } from "../../../src/acme/https.ts";
import { AcmeError } from "../../../src/acme/problem.ts";
import { systemClock } from "../../../src/clock/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { until } from "../../support/store.ts";
import { createZone } from "../../support/zone.ts";

const resolver = createZone({ "ca.example": { a: ["127.0.0.1"] } });
const { signal } = new AbortController();

function serve(handler: (request: Request) => Response | Promise<Response>, tls?: { cert: string; key: string }) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls }, handler);
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("names are asked of the resolver, certificates must verify against roots that are known", async () => {
  const root = await makeCertificate({ names: ["root"], authority: true });
  const own = await makeCertificate({ names: ["ca.example"], issuer: root });
  await using server = serve(() => new Response("yes"), { cert: own.cert, key: own.privateKey });
  const request = { method: "GET", url: `https://ca.example:${server.port}/dir` } as const;
  const trusting = createSender({ clock: systemClock, resolver, ca: [root.cert] });
  assert.equal((await trusting(request, signal)).body, "yes");
  const failed = await createSender({ clock: systemClock, resolver })(request, signal).catch((error) => error);
  assert.ok(failed instanceof AcmeError);
  assert.equal(failed.kind, "network");
  await assert.rejects(trusting({ ...request, url: `https://127.0.0.1:${server.port}/dir` }, signal), AcmeError);
});

Deno.test("body and headers go as they are, redirects are answers like others", async () => {
  await using server = serve(async (request) =>
    new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`, {
      status: 302,
      headers: { location: "http://elsewhere.example/", "x-b": "c" },
    })
  );
  const send = createSender({ clock: systemClock, resolver });
  const answer = await send({
    method: "POST",
    url: `http://ca.example:${server.port}/`,
    headers: { "x-a": "1" },
    body: "bücher",
  }, signal);
  assert.deepEqual([answer.status, answer.header("x-b"), answer.body], [302, "c", "POST 1 bücher"]);
});

Deno.test("an answer that is too large, too late, or not wanted any more ends the request", async () => {
  const clock = new FakeClock();
  let asked = 0;
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  await using server = serve(async (request) => {
    asked++;
    if (new URL(request.url).pathname === "/large") return new Response("x".repeat(2_000_000));
    await held;
    return new Response();
  });
  const send = createSender({ clock, resolver });
  const url = `http://ca.example:${server.port}`;
  await assert.rejects(send({ method: "GET", url: `${url}/large` }, signal), /larger than 1048576 octets/);
  const late = assert.rejects(send({ method: "GET", url, timeout: 7_000 }, signal), /no answer within 7 s/);
  await until(() => asked === 2);
  await clock.advance(7_000);
  await late;
  const stop = new AbortController();
  const stopped = assert.rejects(send({ method: "GET", url }, stop.signal), /enough/);
  await until(() => asked === 3);
  stop.abort(new Error("enough"));
  await stopped;
  assert.equal(clock.pending, 0);
  release();
});

Deno.test("what is no URL of the web, and a name without an address, are told so", async () => {
  const send = createSender({ clock: systemClock, resolver });
  await assert.rejects(send({ method: "GET", url: "dir" }, signal), /'dir' is not a URL/);
  await assert.rejects(send({ method: "GET", url: "ftp://ca.example/" }, signal), /neither https nor http/);
  await assert.rejects(send({ method: "GET", url: "http://other.example/" }, signal), /other\.example has no address/);
});
