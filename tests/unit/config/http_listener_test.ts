import assert from "node:assert/strict";
import { makeCertificate } from "../../support/certificates.ts";
import { problemsOf } from "./loading.ts";

const PLAIN = `server.listener.web = { bind = "127.0.0.1:8025", protocol = "http" }\n`;

Deno.test("proxies that are trusted by all listeners get a warning where an HTTP listener is", () => {
  const trusting = `server.proxy.trusted-networks = "10.0.0.0/8"\n`;
  assert.deepEqual(problemsOf(`${trusting}server.listener.mx = { bind = "127.0.0.1:25", protocol = "smtp" }`), []);
  const [problem = "", ...others] = problemsOf(`${trusting}${PLAIN}`);
  assert.match(problem, /^server\.proxy\.trusted-networks: warning: line 1: the HTTP listener 'web' reads no PROXY/);
  assert.deepEqual(others, []);
});

Deno.test("an HTTP listener with TLS keeps to what is switched off, and reads PROXY headers", async () => {
  const { cert, privateKey } = await makeCertificate({ names: ["mx.example.net"] });
  const certificate = `certificate.c = { cert = """${cert}""", private-key = """${privateKey}""" }\n`;
  const implicit = PLAIN.replace("}", ', tls.implicit = true, proxy.trusted-networks = "192.0.2.1" }');
  assert.deepEqual(problemsOf(`${certificate}${implicit}\nserver.tls.disable-protocols = "TLSv1.2"`), []);
});

Deno.test("packets that shall wait are said not to wait on an HTTP listener", () => {
  const own = PLAIN.replace("}", ", socket.nodelay = false }");
  assert.match(problemsOf(own).join("\n"), /^server\.listener\.web\.socket\.nodelay: warning: line 1: .*'web'.*$/);
  const inherited = problemsOf(`server.socket.nodelay = false\n${PLAIN}`).join("\n");
  assert.match(inherited, /^server\.socket\.nodelay: warning: line 1: the HTTP listener 'web' sends small packets.*$/);
  assert.deepEqual(problemsOf(`server.socket = { nodelay = true, backlog = 5, reuse-port = false }\n${PLAIN}`), []);
});
