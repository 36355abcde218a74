import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect } from "../../../src/net/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { type Command, startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import { inShort, jobFor, queueConfig, relay, setUp, textOf } from "./setting.ts";

const auth = { username: "mx1", secret: "s3cret ü" };
const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Delivers through a relay that asks for login. */
async function deliverWith(
  extensions: readonly string[],
  on: (command: Command) => string | undefined,
  options: { readonly remoteIp?: string; readonly encrypted?: true } = {},
) {
  const tls = options.encrypted ? await makeCertificate({ names: ["relay.example"] }) : undefined;
  await using peer = await startFakePeer({
    extensions: ({ encrypted }) => tls === undefined || encrypted ? extensions : ["STARTTLS"],
    on,
    ...(tls === undefined ? {} : { tls }),
  });
  const route = relay(peer.port, {
    address: "relay.example",
    auth,
    tls: { implicit: false, allowInvalidCerts: true },
  });
  const { deliver, delivery, events } = setUp(queueConfig([route]), {
    resolver: createZone({ "relay.example": { a: [options.remoteIp ?? "127.0.0.1"] } }),
    connect: async (how) => {
      const inner = await connect({ ...how, ip: "127.0.0.1" });
      // The peer seems to be where DNS says.
      return new Proxy(inner, {
        get: (target, name) => name === "remote" ? { ip: how.ip, port: how.port } : Reflect.get(target, name, target),
      });
    },
  });
  const [outcome] = await deliver(jobFor(["b@rcpt.example"]));
  await delivery.close();
  const lines = peer.connections[0]?.lines ?? [];
  return { outcome, lines, events: events.map(({ name }) => name) };
}

const usual = () => undefined;

Deno.test("PLAIN in one line, to this machine also without TLS", async () => {
  const { outcome, lines } = await deliverWith(["AUTH CRAM-MD5 LOGIN PLAIN"], usual);
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  // RFC 4616 §2: authzid NUL authcid NUL passwd
  assert.equal(lines[1], `AUTH PLAIN ${base64("\0mx1\0s3cret ü")}`);
});

Deno.test("LOGIN in two answers", async () => {
  const { outcome, lines } = await deliverWith(
    ["AUTH LOGIN"],
    ({ verb, line }) =>
      verb === "AUTH"
        ? "334 VXNlcm5hbWU6"
        : line === base64("mx1")
        ? "334 UGFzc3dvcmQ6"
        : line === base64("s3cret ü")
        ? "235 2.7.0 ok"
        : undefined,
  );
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.deepEqual(lines.slice(1, 4), ["AUTH LOGIN", base64("mx1"), base64("s3cret ü")]);
});

Deno.test("CRAM-MD5 answers the challenge", async () => {
  const challenge = "<1896.697170952@postoffice.example>";
  const digest = createHmac("md5", auth.secret).update(challenge).digest("hex");
  const { outcome, lines } = await deliverWith(
    ["AUTH CRAM-MD5"],
    ({ verb, line }) =>
      verb === "AUTH" ? `334 ${base64(challenge)}` : line === base64(`mx1 ${digest}`) ? "235 2.7.0 ok" : undefined,
  );
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(lines[1], "AUTH CRAM-MD5");
});

Deno.test("the password is not shown to another machine without TLS", async () => {
  const { outcome, lines } = await deliverWith(["AUTH PLAIN LOGIN"], usual, { remoteIp: "192.0.2.1" });
  assert.equal(inShort(outcome), "deferred unexpected-reply 0 4.7.0");
  assert.deepEqual(lines, ["EHLO mx.sender.example", "QUIT"]);
});

Deno.test("CRAM-MD5 does not show the password and is used without TLS", async () => {
  const { lines } = await deliverWith(["AUTH PLAIN CRAM-MD5"], usual, { remoteIp: "192.0.2.1" });
  assert.equal(lines[1], "AUTH CRAM-MD5");
});

Deno.test("the password goes to another machine over TLS", async () => {
  const { outcome, lines } = await deliverWith(["AUTH PLAIN"], usual, { remoteIp: "192.0.2.1", encrypted: true });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.deepEqual(lines.slice(0, 4), [
    "EHLO mx.sender.example",
    "STARTTLS",
    "EHLO mx.sender.example",
    `AUTH PLAIN ${base64("\0mx1\0s3cret ü")}`,
  ]);
});

Deno.test("a relay that refuses the login keeps the message in the queue, and no secret in the text", async () => {
  const { outcome, events } = await deliverWith(
    ["AUTH PLAIN"],
    ({ verb }) => verb === "AUTH" ? "535 5.7.8 bad credentials" : undefined,
  );
  assert.equal(inShort(outcome), "deferred unexpected-reply 535 4.7.8");
  assert.ok(!textOf(outcome).includes(base64("\0mx1\0s3cret ü")));
  assert.ok(events.includes("delivery.auth-failed"));
});

Deno.test("a relay that offers no login is a deferral", async () => {
  const { outcome } = await deliverWith(["PIPELINING"], usual);
  assert.equal(inShort(outcome), "deferred unexpected-reply 0 4.7.0");
});
