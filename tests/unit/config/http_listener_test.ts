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

Deno.test("a version of TLS that is switched off is said to be offered by an HTTP listener all the same", async () => {
  const { cert, privateKey } = await makeCertificate({ names: ["mx.example.net"] });
  const certificate = `certificate.c = { cert = """${cert}""", private-key = """${privateKey}""" }\n`;
  const off = `server.tls.disable-protocols = "TLSv1.2"\n`;
  const implicit = PLAIN.replace("}", ", tls.implicit = true }");
  assert.deepEqual(problemsOf(`${certificate}${implicit}`), []);
  assert.deepEqual(problemsOf(`${off}${PLAIN}`), []);
  const [problem = "", ...others] = problemsOf(`${off}${implicit}${certificate}`);
  assert.match(problem, /^server\.listener\.web\.tls\.implicit: warning: line 2: .* offers every version and suite/);
  assert.deepEqual(others, []);
});

Deno.test("packets that shall wait are said not to wait on an HTTP listener", () => {
  const own = PLAIN.replace("}", ", socket.nodelay = false }");
  assert.match(problemsOf(own).join("\n"), /^server\.listener\.web\.socket\.nodelay: warning: line 1: .*'web'.*$/);
  const inherited = problemsOf(`server.socket.nodelay = false\n${PLAIN}`).join("\n");
  assert.match(inherited, /^server\.socket\.nodelay: warning: line 1: the HTTP listener 'web' sends small packets.*$/);
  assert.deepEqual(problemsOf(`server.socket = { nodelay = true, backlog = 5, reuse-port = false }\n${PLAIN}`), []);
});
