import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect } from "../../../src/net/mod.ts";
import { scramFinal, scramFirst } from "../../../src/outbound/scram.ts";
import { scramKeys, scramSignature } from "../../../src/smtp/mod.ts";
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
    auth: { ...auth },
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

Deno.test("the client's messages of RFC 7677 come out, and the server's proof is checked", async () => {
  const nonce = "rOprNGfwEbeRWgbNEkqO";
  const first = scramFirst("user", nonce);
  assert.equal(`n,,${first}`, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  const whole = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const challenge = `r=${whole},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
  const final = await scramFinal(first, nonce, challenge, "pencil");
  assert.equal(final?.message, `c=biws,r=${whole},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`);
  assert.equal(final?.isProof("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), true);
  assert.equal(final?.isProof("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="), false);
  assert.equal(final?.isProof("e=invalid-proof"), false);
  assert.equal(final?.isProof(""), false);
  for (
    const wrong of [
      // Another nonce, ours alone, and a count that would keep a thread busy for minutes.
      challenge.replace("rOpr", "rOps"),
      challenge.replace(whole, nonce),
      challenge.replace("4096", "9999999"),
      challenge.replace("4096", "0"),
      challenge.replace("i=4096", ""),
      "m=extension,r=x,s=AAAA,i=4096",
      "",
    ]
  ) {
    assert.equal(await scramFinal(first, nonce, wrong, "pencil"), undefined, wrong);
  }
  assert.equal(scramFirst("a,b=c", "x"), "n=a=2Cb=3Dc,r=x");
});

/** A relay that speaks SCRAM-SHA-256 and knows `password`. */
function scramRelay(password: string, signatureOf = (signature: string) => signature) {
  const salt = new Uint8Array([1, 2, 3, 4]);
  const keys = scramKeys(password, salt, 4096);
  let bare = "";
  let challenge = "";
  let known: Awaited<typeof keys>;
  void keys.then((value) => known = value);
  return ({ verb, line }: Command): string | undefined => {
    if (verb === "AUTH") {
      bare = atob(line.split(" ")[2] ?? "").slice("n,,".length);
      challenge = `r=${bare.split("r=")[1]}server,s=${btoa(String.fromCharCode(...salt))},i=4096`;
      return `334 ${btoa(challenge)}`;
    }
    if (verb === "*") return "501 5.7.0 cancelled";
    if (verb === "") return "235 2.7.0 welcome";
    if (bare === "" || ["EHLO", "MAIL", "RCPT", "DATA", "content", "QUIT"].includes(verb)) return undefined;
    const message = atob(line);
    const exchange = `${bare},${challenge},${message.slice(0, message.lastIndexOf(",p="))}`;
    const stored = scramSignature(known.stored, exchange);
    const proof = Uint8Array.from(atob(message.split(",p=")[1] ?? ""), (char) => char.charCodeAt(0));
    if (!proof.every((octet, index) => (octet ^ stored[index]!) === known.client[index])) return "535 5.7.8 wrong";
    const signature = btoa(String.fromCharCode(...scramSignature(known.server, exchange)));
    return `334 ${btoa(`v=${signatureOf(signature)}`)}`;
  };
}

Deno.test("SCRAM-SHA-256 proves the password to a relay over a link that anybody may read", async () => {
  const offer = ["AUTH PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5"];
  const { outcome, lines } = await deliverWith(offer, scramRelay(auth.secret), { remoteIp: "192.0.2.1" });
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.match(lines[1]!, /^AUTH SCRAM-SHA-256 /);
  assert.ok(!lines.some((line) => line.includes(base64(auth.secret))));
});

Deno.test("a relay that lets SCRAM pass without knowing the password gets no mail", async () => {
  const relayOf = (signature: string) => signature.replace(/^./, (char) => char === "A" ? "B" : "A");
  const { outcome, lines } = await deliverWith(["AUTH SCRAM-SHA-256"], scramRelay(auth.secret, relayOf));
  assert.equal(inShort(outcome), "deferred unexpected-reply 0 4.7.0");
  assert.match(textOf(outcome), /did not prove that it knows the password$/);
  assert.ok(!lines.some((line) => line.startsWith("MAIL")));
});

Deno.test("a wrong password is refused by SCRAM, too", async () => {
  const { outcome } = await deliverWith(["AUTH SCRAM-SHA-256"], scramRelay("another"));
  assert.equal(inShort(outcome), "deferred unexpected-reply 535 4.7.8");
});

Deno.test("over TLS whose certificate was not checked the password is proven, not shown", async () => {
  const { lines } = await deliverWith(["AUTH PLAIN CRAM-MD5"], usual, { remoteIp: "192.0.2.1", encrypted: true });
  assert.equal(lines[3], "AUTH CRAM-MD5");
});

Deno.test("XOAUTH2 takes the secret as a token", async () => {
  const { outcome, lines } = await deliverWith(["AUTH XOAUTH2"], usual);
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(lines[1], `AUTH XOAUTH2 ${base64("user=mx1\x01auth=Bearer s3cret ü\x01\x01")}`);
});

Deno.test("a refused token is answered by nothing, and the refusal told", async () => {
  const { outcome, lines } = await deliverWith(
    ["AUTH XOAUTH2"],
    ({ verb }) => verb === "AUTH" ? "334 eyJzdGF0dXMiOiI0MDEifQ==" : verb === "" ? "535 5.7.8 expired" : undefined,
  );
  assert.equal(inShort(outcome), "deferred unexpected-reply 535 4.7.8");
  assert.equal(lines[2], "");
});

Deno.test("a secret that is no password is tried as a token, and the next time at once", async () => {
  await using peer = await startFakePeer({
    extensions: ["AUTH PLAIN LOGIN XOAUTH2"],
    on: ({ verb, line }) => verb === "AUTH" && !line.startsWith("AUTH XOAUTH2") ? "535 5.7.8 no password" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port, { auth: { ...auth } })]), {
    pool: { maxMessages: 1 },
  });
  for (let i = 0; i < 2; i++) assert.equal((await deliver(jobFor(["b@rcpt.example"])))[0]?.kind, "delivered");
  const logins = peer.connections.map(({ lines }) =>
    lines.filter((line) => line.startsWith("AUTH")).map((line) => line.split(" ")[1])
  );
  assert.deepEqual(logins, [["PLAIN", "XOAUTH2"], ["XOAUTH2"]]);
  await delivery.close();
});
