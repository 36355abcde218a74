import assert from "node:assert/strict";
import { connect, type TLSSocket } from "node:tls";
import type { ListenerConfig } from "../../../src/config/config.ts";
import { type HttpApp, type HttpListener, type RequestInfo, startHttpListener } from "../../../src/http/mod.ts";
import { createCertificateStore } from "../../../src/net/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const CONFIG: ListenerConfig = {
  id: "web",
  bind: [{ ip: "127.0.0.1", port: 0 }],
  protocol: "http",
  maxConnections: 10,
  greeting: undefined,
  tls: {
    enable: true,
    implicit: true,
    timeout: 60_000,
    disableProtocols: [],
    disableCiphers: [],
    ignoreClientOrder: true,
    certificate: undefined,
  },
  socket: { reuseAddr: true, reusePort: true, backlog: 128, nodelay: true },
  proxyTrustedNetworks: [],
};

const certificate = await makeCertificate({ names: ["web.example"] });

/** A listener with TLS, its certificates, and what it was asked. */
async function start(app: HttpApp["fetch"], options: { clock?: FakeClock; config?: Partial<ListenerConfig> } = {}) {
  const certificates = createCertificateStore([certificateConfig("a", certificate)]);
  const asked: { url: string; info: RequestInfo }[] = [];
  const events: string[] = [];
  const listener = await startHttpListener({ ...CONFIG, ...options.config }, {
    fetch(request, info) {
      asked.push({ url: request.url, info });
      return app(request, info);
    },
  }, {
    emit: (name) => events.push(name),
    certificates,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  return { listener, certificates, asked, events };
}

/** A TLS client of a listener, and the text that it gets. */
function client(listener: HttpListener, servername = "web.example") {
  const port = Number(listener.addresses[0]?.split(":")[1]);
  const socket: TLSSocket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false });
  let text = "";
  let wake = () => {};
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (part: Uint8Array) => {
    text += new TextDecoder().decode(part);
    wake();
  });
  socket.on("error", () => {});
  return {
    socket,
    ended,
    connected: new Promise<void>((resolve) => socket.once("secureConnect", resolve)),
    ask: (path: string) => socket.write(`GET ${path} HTTP/1.1\r\nHost: web.example\r\n\r\n`),
    /** Resolves when the text so far ends like this. */
    async until(end: string) {
      while (!text.endsWith(end)) await new Promise<void>((resolve) => wake = resolve);
      return text;
    },
  };
}

const path: HttpApp["fetch"] = (request) => Promise.resolve(new Response(new URL(request.url).pathname));

Deno.test("several requests go over one connection with TLS, and the app knows who asks", async () => {
  const { listener, asked } = await start(path);
  const one = client(listener);
  one.ask("/first");
  await one.until("/first");
  one.ask("/second");
  assert.match(await one.until("/second"), /^HTTP\/1\.1 200 OK\r\n/);
  assert.deepEqual(asked.map(({ url }) => url), ["https://web.example/first", "https://web.example/second"]);
  const info = asked[0]?.info;
  assert.deepEqual([info?.listener, info?.tls, info?.remote.ip], ["web", true, "127.0.0.1"]);
  assert.equal(`127.0.0.1:${info?.local.port}`, listener.addresses[0]);
  assert.equal(info?.remote.port, one.socket.localPort);
  await listener.close();
  await one.ended;
});

Deno.test("a body comes and goes as it is", async () => {
  const { listener } = await start(async (request) => new Response(await request.arrayBuffer()));
  const http = Deno.createHttpClient({ caCerts: [certificate.cert] });
  const port = listener.addresses[0]?.split(":")[1];
  const body = crypto.getRandomValues(new Uint8Array(50_000));
  // The name must be that of the certificate, and leads nowhere by itself.
  const answer = await fetch(`https://127.0.0.1:${port}/`, { client: http, method: "POST", body }).then(
    () => "believed",
    () => "not believed",
  );
  assert.equal(answer, "not believed");
  const one = client(listener);
  await one.connected;
  const received: Uint8Array[] = [];
  one.socket.on("data", (part: Uint8Array) => received.push(part));
  one.socket.write(
    `POST / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  one.socket.write(body);
  await one.ended;
  const all = new Uint8Array(await new Blob(received.map((part) => part.slice())).arrayBuffer());
  assert.deepEqual(all.slice(-body.length), body);
  http.close();
  await listener.close();
});

Deno.test("a renewed certificate is shown to whoever comes then, and those who are there stay", async () => {
  const { listener, certificates } = await start(path);
  const before = client(listener);
  before.ask("/before");
  await before.until("/before");
  const renewed = await makeCertificate({ names: ["web.example", "new.example"] });
  certificates.replace([certificateConfig("a", renewed)]);
  const after = client(listener);
  await after.connected;
  assert.match(after.socket.getPeerCertificate().subjectaltname ?? "", /new\.example/);
  before.ask("/after");
  await before.until("/after");
  await listener.close();
  await Promise.all([before.ended, after.ended]);
});

Deno.test("closing lets a request end, ends idle connections, and cuts off the rest when the grace is over", async () => {
  const clock = new FakeClock();
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  const { listener, asked } = await start(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/slow") await held;
    if (pathname === "/never") await new Promise(() => {});
    return new Response(pathname);
  }, { clock });
  const [idle, slow, never] = [client(listener), client(listener), client(listener)];
  idle.ask("/idle");
  await idle.until("/idle");
  slow.ask("/slow");
  never.ask("/never");
  while (asked.length < 3) await new Promise((resolve) => setImmediate(resolve));
  const closed = listener.close(500);
  await idle.ended;
  release();
  await slow.until("/slow");
  await slow.ended;
  await clock.advance(500);
  await never.ended;
  assert.match(await never.until(""), /^HTTP\/1\.1 503 /);
  await closed;
  assert.equal(clock.pending, 0);
});

Deno.test("a stream reaches the client piece by piece, and ends when the client leaves", async () => {
  let send = (_: string) => {};
  const cancelled = Promise.withResolvers<void>();
  const { listener } = await start(() =>
    Promise.resolve(
      new Response(
        new ReadableStream({
          start: (controller) => {
            send = (text) => controller.enqueue(new TextEncoder().encode(text));
          },
          cancel: () => cancelled.resolve(),
        }),
      ),
    )
  );
  const one = client(listener);
  one.ask("/stream");
  await one.until("\r\n\r\n");
  for (const piece of ["first\n", "second\n"]) {
    send(piece);
    await one.until(`${piece}\r\n`);
  }
  one.socket.destroy();
  await cancelled.promise;
  await listener.close();
});

Deno.test("whoever sends no whole request for a minute is not waited for", async () => {
  const clock = new FakeClock();
  const { listener } = await start(path, { clock });
  const one = client(listener);
  await one.connected;
  one.ask("/a");
  await one.until("/a");
  one.socket.write("GET / HTT");
  await clock.advance(120_000);
  await one.ended;
  await listener.close();
});

Deno.test("more connections than the listener takes are turned away", async () => {
  const { listener, events } = await start(path, { config: { maxConnections: 1 } });
  const one = client(listener);
  await one.connected;
  const two = client(listener);
  await two.ended;
  assert.ok(events.includes("limit.concurrent-connection"));
  one.ask("/still");
  await one.until("/still");
  await listener.close();
});

Deno.test("implicit TLS without a certificate is refused with the key that is wrong", async () => {
  const silent = { emit: () => {}, certificates: createCertificateStore([]) };
  await assert.rejects(
    () => startHttpListener(CONFIG, { fetch: () => Promise.resolve(new Response()) }, silent),
    /server\.listener\.web\.tls\.implicit needs a certificate/,
  );
});
