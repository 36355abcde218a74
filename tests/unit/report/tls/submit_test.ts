import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { systemClock } from "../../../../src/clock/mod.ts";
import { createSubmission } from "../../../../src/report/mod.ts";
import { makeCertificate, type TestCertificate } from "../../../support/certificates.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { createZone } from "../../../support/zone.ts";

const HOST = "reports.d.example";
const root = await makeCertificate({ names: ["test root"], authority: true });
const good = await makeCertificate({ names: [HOST], issuer: root });
const misnamed = await makeCertificate({ names: ["www.d.example"], issuer: root });
const selfSigned = await makeCertificate({ names: [HOST] });

interface Received {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly body: Uint8Array;
}

interface Setting {
  readonly certificate?: TestCertificate;
  readonly clock?: FakeClock;
  readonly signal?: AbortSignal;
  readonly host?: string;
  /** Called when a request has arrived. */
  readonly onRequest?: () => void;
}

/** Submits three octets to a server on this machine; gives what it received, and the reason of a failure. */
async function submitTo(
  answer: (response: ServerResponse) => void,
  { certificate = good, clock, signal = new AbortController().signal, host = HOST, onRequest }: Setting = {},
): Promise<{ received: readonly Received[]; failure: string | undefined }> {
  const received: Received[] = [];
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    const { method, url: path, headers } = request;
    received.push({
      method,
      path,
      type: headers["content-type"],
      body: new Uint8Array(await new Blob(parts as BlobPart[]).bytes()),
    });
    onRequest?.();
    answer(response);
  };
  const server = createServer({ cert: certificate.cert, key: certificate.privateKey }, listener);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const submit = createSubmission({
    resolver: createZone({ [HOST]: { a: ["127.0.0.1"] } }),
    clock: clock ?? systemClock,
    ca: [root.cert],
  });
  const url = new URL(`https://${host}:${port}/v1/tlsrpt?key=a`);
  try {
    await submit({ uri: url.href, url, type: "application/tlsrpt+gzip", body: Uint8Array.of(1, 2, 3) }, signal);
    return { received, failure: undefined };
  } catch (error) {
    return { received, failure: error instanceof Error ? error.message : String(error) };
  } finally {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

const say = (status: number, headers: Record<string, string> = {}) => (response: ServerResponse) => {
  response.writeHead(status, headers);
  response.end("thanks");
};

Deno.test("a report is posted to its URI with the media type of RFC 8460 section 5.4", async () => {
  const { received, failure } = await submitTo(say(201));
  assert.equal(failure, undefined);
  assert.deepEqual(received, [{
    method: "POST",
    path: "/v1/tlsrpt?key=a",
    type: "application/tlsrpt+gzip",
    body: Uint8Array.of(1, 2, 3),
  }]);
});

Deno.test("any status of success will do; others are failures, and no redirect is followed", async () => {
  for (const status of [200, 202, 204]) assert.equal((await submitTo(say(status))).failure, undefined);
  for (const status of [302, 404, 503]) {
    const { failure, received } = await submitTo(say(status, { location: "https://elsewhere.example/" }));
    assert.equal(failure, `it answers with the status ${status}`);
    assert.equal(received.length, 1);
  }
});

Deno.test("a server whose certificate does not verify gets nothing", async () => {
  for (const certificate of [misnamed, selfSigned]) {
    const { failure, received } = await submitTo(say(200), { certificate });
    assert.ok(failure);
    assert.deepEqual(received, []);
  }
});

Deno.test("a host without an address is a failure", async () => {
  assert.match(
    (await submitTo(say(200), { host: "other.d.example" })).failure ?? "",
    /other\.d\.example has no address/,
  );
});

Deno.test("a server that does not answer is not waited for longer than a minute", async () => {
  const clock = new FakeClock(Date.now());
  const asked = Promise.withResolvers<void>();
  const submission = submitTo(() => {}, { clock, onRequest: asked.resolve });
  await asked.promise;
  await clock.advance(60_000);
  assert.equal((await submission).failure, "no answer within 60 s");
});

Deno.test("a submission ends when the program stops", async () => {
  const stopping = new AbortController();
  const { failure } = await submitTo(() => {}, { signal: stopping.signal, onRequest: () => stopping.abort() });
  assert.equal(failure, "not waited for: the program stops");
});
