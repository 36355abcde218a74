/** AUTH: which mechanisms are offered when, each exchange to its end, and what a guesser gets. */

import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { Directory } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { parseOauthBearer, parseXoauth2 } from "../../../src/inbound/sasl_oauth.ts";
import { settle } from "../../support/fake_clock.ts";
import { dialogue, greeted, sessionWorld, staff, type TestClient } from "../../support/session.ts";

const ALL = `
session.auth.mechanisms = "['plain', 'login', 'cram-md5', 'scram-sha-256', 'oauthbearer', 'xoauth2']"
session.auth.errors = { wait = "0s" }
`;

/** Ana's password is `secret`, and the directory can tell it. */
const plainSecrets: Directory = {
  ...staff,
  plainSecrets: (name) => Promise.resolve(name === "ana" ? ["other", "secret"] : []),
};

/** Takes the token `good` for Ana. */
const tokens: Directory = {
  ...staff,
  token: (token, name) => {
    const account = staff.account("ana") as Exclude<ReturnType<Directory["account"]>, Promise<unknown>>;
    const known = token === "good" && ["", "ana", "ana@example.org"].includes(name);
    return Promise.resolve(known && account !== undefined ? { kind: "accepted", account } : { kind: "refused" });
  },
};

const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const challengeOf = (reply: string) => {
  assert.match(reply, /^334 [A-Za-z0-9+/=]*$/);
  return atob(reply.slice(4));
};

async function mechanismsOf(directory: Directory, tls: boolean, settings = ALL): Promise<string> {
  const client = await greeted(sessionWorld({ settings, directory }), { tls });
  return (await client.say("EHLO client.example.net")).split("\n").find((line) => /^250.AUTH/.test(line))?.slice(4) ??
    "";
}

Deno.test("what is offered is what the directory can check and the link does not betray", async () => {
  assert.equal(await mechanismsOf(staff, true), "AUTH PLAIN LOGIN");
  assert.equal(await mechanismsOf(staff, false), "");
  assert.equal(await mechanismsOf(plainSecrets, true), "AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256");
  assert.equal(await mechanismsOf(plainSecrets, false), "AUTH CRAM-MD5 SCRAM-SHA-256");
  assert.equal(await mechanismsOf(tokens, true), "AUTH OAUTHBEARER XOAUTH2");
  assert.equal(await mechanismsOf(tokens, false), "");
  const open = `${ALL}session.auth.allow-plain-text = true\n`;
  assert.equal(await mechanismsOf(staff, false, open), "AUTH PLAIN LOGIN");
  // RFC 6750 §5.3: tokens never go in clear text, whatever is allowed for passwords.
  assert.equal(await mechanismsOf(tokens, false, open), "");
});

Deno.test("a mechanism that is not offered is refused for the right reason", async () => {
  const clear = await greeted(sessionWorld({ settings: ALL, directory: plainSecrets }));
  await dialogue(
    clear,
    ["AUTH PLAIN AGFuYQBzZWNyZXQ=", "538 5.7.11 "],
    ["AUTH LOGIN", "538 5.7.11 "],
    ["AUTH XOAUTH2", "504 5.5.4 "],
    ["AUTH GSSAPI", "504 5.5.4 "],
  );
  const token = await greeted(sessionWorld({ settings: ALL, directory: tokens }));
  await dialogue(token, ["AUTH OAUTHBEARER", "538 5.7.11 "], ["AUTH PLAIN", "504 5.5.4 "]);
});

/** Answers the challenge of CRAM-MD5. */
async function cram(client: TestClient, name: string, secret: string): Promise<string> {
  const challenge = challengeOf(await client.say("AUTH CRAM-MD5"));
  assert.match(challenge, /^<[^<>@\s]+@mx\.example\.org>$/);
  return await client.say(base64(`${name} ${createHmac("md5", secret).update(challenge).digest("hex")}`));
}

Deno.test("CRAM-MD5 takes any plain secret of the account, with a new challenge each time", async () => {
  const world = sessionWorld({ settings: ALL, directory: plainSecrets });
  for (const secret of ["secret", "other"]) {
    assert.match(await cram(await greeted(world), "ana", secret), /^235 2\.7\.0 /);
  }
  const client = await greeted(world);
  assert.match(await cram(client, "ana", "wrong"), /^535 5\.7\.8 /);
  assert.match(await cram(client, "nobody", "secret"), /^535 5\.7\.8 /);
  const other = await greeted(world);
  const first = await other.say("AUTH CRAM-MD5");
  await other.say("*");
  assert.notEqual(await other.say("AUTH CRAM-MD5"), first);
  assert.match(await other.say(base64("ana")), /^501 5\.5\.2 /);
  // RFC 4954 §4: the server speaks first.
  assert.match(await other.say(`AUTH CRAM-MD5 ${base64("ana 0")}`), /^501 /);
});

/** A client of SCRAM-SHA-256 written after RFC 5802 §3; gives the last reply and whether the server proved itself. */
async function scram(
  client: TestClient,
  options: { name: string; password: string; header?: string; binding?: string; nonce?: string; initial?: boolean },
): Promise<{ reply: string; proved: boolean }> {
  const { name, password, header = "n,,", initial = true } = options;
  const bare = `n=${name},r=clientnonce`;
  let reply = initial
    ? await client.say(`AUTH SCRAM-SHA-256 ${base64(header + bare)}`)
    : (assert.equal(await client.say("AUTH SCRAM-SHA-256"), "334 "), await client.say(base64(header + bare)));
  if (!reply.startsWith("334")) return { reply, proved: false };
  const first = challengeOf(reply);
  const [, nonce = "", salt = "", count = ""] = /^r=(clientnonce[^,]+),s=([^,]+),i=(\d+)$/.exec(first)!;
  assert.ok(Number(count) >= 4096, "RFC 7677 §4");
  const salted = pbkdf2Sync(password, Uint8Array.from(atob(salt), (c) => c.charCodeAt(0)), Number(count), 32, "sha256");
  const hmac = (key: Uint8Array, text: string) => createHmac("sha256", key).update(text).digest();
  const clientKey = hmac(salted, "Client Key");
  const without = `c=${options.binding ?? base64(header)},r=${options.nonce ?? nonce}`;
  const message = `${bare},${first},${without}`;
  const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
  const proof = btoa(String.fromCharCode(...clientKey.map((octet, index) => octet ^ signature[index]!)));
  reply = await client.say(base64(`${without},p=${proof}`));
  if (!reply.startsWith("334")) return { reply, proved: false };
  const wanted = hmac(hmac(salted, "Server Key"), message).toString("base64");
  const proved = challengeOf(reply) === `v=${wanted}`;
  return { reply: await client.say(""), proved };
}

Deno.test("SCRAM-SHA-256 proves both sides, with and without an initial response", async () => {
  for (const initial of [true, false]) {
    const world = sessionWorld({ settings: ALL, directory: plainSecrets });
    const client = await greeted(world);
    const { reply, proved } = await scram(client, { name: "ana", password: "secret", initial });
    assert.match(reply, /^235 2\.7\.0 /);
    assert.equal(proved, true);
    assert.equal(client.session.account?.name, "ana");
    const success = world.events.find(({ name }) => name === "auth.success");
    assert.deepEqual([success?.fields.account, success?.fields.mechanism], ["ana", "scram-sha-256"]);
  }
});

Deno.test("SCRAM-SHA-256 refuses a wrong password, name, nonce, header and identity alike", async () => {
  const wrong = [
    { name: "ana", password: "Secret" },
    { name: "nobody", password: "secret" },
    { name: "ana", password: "secret", nonce: "clientnonce" },
    { name: "ana", password: "secret", binding: base64("y,,") },
    { name: "ana", password: "secret", header: "n,a=bob," },
  ];
  for (const options of wrong) {
    const client = await greeted(sessionWorld({ settings: ALL, directory: plainSecrets }));
    const { reply, proved } = await scram(client, options);
    assert.match(reply, /^535 5\.7\.8 /, JSON.stringify(options));
    assert.equal(proved, false);
    assert.equal(client.session.account, undefined);
  }
});

Deno.test("the salt of a name stays the same, whether or not there is such an account", async () => {
  const client = await greeted(sessionWorld({ settings: ALL, directory: plainSecrets }));
  const saltOf = async (name: string) => {
    const reply = await client.say(`AUTH SCRAM-SHA-256 ${base64(`n,,n=${name},r=x`)}`);
    assert.match(await client.say("*"), /^501 5\.7\.0 /);
    return /,s=([^,]+),/.exec(challengeOf(reply))![1]!;
  };
  for (const name of ["ana", "nobody"]) assert.equal(await saltOf(name), await saltOf(name));
  assert.notEqual(await saltOf("ana"), await saltOf("nobody"));
});

Deno.test("the messages of RFC 7628 and of XOAUTH2 are read", () => {
  assert.deepEqual(
    // RFC 7628 §4.1
    parseOauthBearer(
      "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01",
    ),
    { name: "user@example.com", token: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" },
  );
  assert.deepEqual(parseOauthBearer("n,,\x01auth=bearer x\x01\x01"), { name: "", token: "x" });
  assert.deepEqual(parseXoauth2("user=ana@example.org\x01auth=Bearer ya29.x\x01\x01"), {
    name: "ana@example.org",
    token: "ya29.x",
  });
  for (
    const text of [
      "n,,\x01auth=Bearer x\x01",
      "n,,auth=Bearer x\x01\x01",
      "p=x,,\x01auth=Bearer x\x01\x01",
      "n,,\x01\x01",
      "",
    ]
  ) {
    assert.equal(parseOauthBearer(text), undefined, JSON.stringify(text));
  }
  for (
    const text of ["user=\x01auth=Bearer x\x01\x01", "auth=Bearer x\x01\x01", "user=a\x01auth=Basic x\x01\x01", ""]
  ) {
    assert.equal(parseXoauth2(text), undefined, JSON.stringify(text));
  }
});

const BEARER: readonly (readonly [string, (name: string, token: string) => string, RegExp])[] = [
  ["OAUTHBEARER", (name, token) => `n,${name && `a=${name}`},\x01auth=Bearer ${token}\x01\x01`, /"invalid_token"/],
  ["XOAUTH2", (name, token) => `user=${name || "ana"}\x01auth=Bearer ${token}\x01\x01`, /"status":"401"/],
];

for (const [mechanism, message, failure] of BEARER) {
  Deno.test(`${mechanism} takes a good token, and tells of a bad one by a challenge`, async () => {
    const world = sessionWorld({ settings: ALL, directory: tokens });
    for (const name of ["", "ana", "ana@example.org"]) {
      const client = await greeted(world, { tls: true });
      assert.match(await client.say(`AUTH ${mechanism} ${base64(message(name, "good"))}`), /^235 /, name);
      assert.equal(client.session.account?.name, "ana");
    }
    const client = await greeted(world, { tls: true });
    for (
      const [name, token, answer, reply] of [
        ["ana", "bad", "AQ==", /^535 5\.7\.8 /],
        ["bob", "good", "", /^535 5\.7\.8 /],
        // A client that gives up has failed all the same; this was the third time.
        ["ana", "bad", "*", /^421 4\.7\.0 /],
      ] as const
    ) {
      assert.equal(await client.say(`AUTH ${mechanism}`), "334 ");
      assert.match(challengeOf(await client.say(base64(message(name, token)))), failure);
      assert.match(await client.say(answer), reply);
    }
    await client.ended;
    const other = await greeted(world, { tls: true });
    assert.match(await other.say(`AUTH ${mechanism} ${base64("nonsense")}`), /^501 5\.5\.2 /);
  });
}

Deno.test("a timeout that depends on the login counts from AUTH on, without another EHLO", async () => {
  const settings = `session.auth.mechanisms = "['plain']"
session.timeout = [{ if = "is_empty(authenticated_as)", then = "5m" }, { else = "1m" }]
`;
  const world = sessionWorld({ settings });
  const client = await greeted(world, { tls: true });
  assert.match(await client.say(`AUTH PLAIN ${base64("\0ana\0secret")}`), /^235 /);
  await settle();
  await world.clock.advance(60_000);
  assert.match(await client.reply(), /^421 4\.4\.2 /);
});

Deno.test("failures are answered after the wait, and the third one ends the session", async () => {
  const world = sessionWorld({ settings: `session.auth.mechanisms = "['plain']"\n` });
  const client = await greeted(world, { tls: true });
  for (const expected of ["535 5.7.8 ", "535 5.7.8 ", "421 4.7.0 "]) {
    const reply = client.say(`AUTH PLAIN ${base64("\0ana\0wrong")}`);
    await settle();
    await world.clock.advance(4999);
    assert.equal(client.unread, "", "nothing is said before 5 s have passed");
    await world.clock.advance(1);
    assert.ok((await reply).startsWith(expected));
  }
  await client.ended;
  assert.equal(world.events.filter(({ name }) => name === "auth.failed").length, 3);
  assert.equal(world.events.filter(({ name }) => name === "auth.too-many-attempts").length, 1);
});

Deno.test("a directory that cannot be asked puts the client off, whatever the mechanism, and counts no failure", async () => {
  const fail = () => Promise.reject(new LookupUnavailable("the directory is away"));
  const broken: Directory = { ...staff, login: fail, plainSecrets: fail };
  const world = sessionWorld({ settings: ALL, directory: broken });
  const client = await greeted(world, { tls: true });
  for (let round = 0; round < 4; round++) {
    assert.match(await client.say(`AUTH PLAIN ${base64("\0ana\0secret")}`), /^454 4\.7\.0 /);
    assert.match(await cram(client, "ana", "secret"), /^454 4\.7\.0 /);
    assert.match((await scram(client, { name: "ana", password: "secret" })).reply, /^454 4\.7\.0 /);
  }
  const token = await greeted(sessionWorld({ settings: ALL, directory: { ...staff, token: fail } }), { tls: true });
  assert.match(await token.say(`AUTH XOAUTH2 ${base64("user=ana\x01auth=Bearer x\x01\x01")}`), /^454 4\.7\.0 /);
  assert.ok(
    world.events.some(({ name, fields }) => name === "auth.error" && fields.reason === "the directory is away"),
  );
});

Deno.test("a megabyte of base64 is read past and costs one line", async () => {
  let asked = 0;
  const counting: Directory = {
    ...staff,
    login: (...args) => {
      asked++;
      return staff.login(...args);
    },
  };
  const client = await greeted(sessionWorld({ settings: ALL, directory: counting }), { tls: true });
  const megabyte = "QUFB".repeat(262_144);
  for (const command of ["AUTH PLAIN ", "AUTH LOGIN "]) {
    assert.match(await client.say(command + megabyte), /^500 5\.5\.2 Command line is too long/);
  }
  assert.equal(await client.say("AUTH PLAIN"), "334 ");
  assert.match(await client.say(megabyte), /^500 5\.5\.6 /);
  // What was kept of it is no more than what waits for the next line.
  assert.equal(client.session.input.length, 0);
  assert.equal(asked, 0);
  assert.match(await client.say("NOOP"), /^250 /);
  // RFC 4954 §4: 12288 octets are still a line.
  assert.equal(await client.say("AUTH PLAIN"), "334 ");
  const longest = base64("\0ana\0" + "x".repeat(9207));
  assert.equal(longest.length, 12284);
  assert.match(await client.say(longest), /^535 /);
  assert.equal(asked, 1);
});

Deno.test("the return path must be an address of the account", async () => {
  const client = await greeted(sessionWorld({ settings: ALL, directory: tokens }), { tls: true });
  assert.match(await client.say(`AUTH XOAUTH2 ${base64("user=ana\x01auth=Bearer good\x01\x01")}`), /^235 /);
  await dialogue(
    client,
    ["MAIL FROM:<bob@example.org>", "553 5.7.1 "],
    ["MAIL FROM:<ana@example.org>", "250 "],
    ["AUTH XOAUTH2", "503 5.5.1 "],
  );
});

Deno.test("AUTH is for EHLO, once, outside a transaction", async () => {
  const client = await greeted(sessionWorld({ settings: ALL }), { tls: true });
  await dialogue(client, ["HELO client.example.net", "250"], ["AUTH PLAIN", "503 5.5.1 "], ["EHLO a.example", "250"]);
  const none = await greeted(sessionWorld({ settings: "session.auth.directory = false\n" }), { tls: true });
  assert.match(await none.say("AUTH PLAIN"), /^502 5\.5\.1 /);
});
