import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import type { RemoteDirectoryConfig } from "../../../src/config/config.ts";
import { createDirectory, type Directory, resolveRecipient } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { DEFAULT_EXTENSIONS, type FakePeer, type FakePeerOptions, startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";

const certificate = await makeCertificate({ names: ["mail.example.net"] });
const TLS = { cert: certificate.cert, privateKey: certificate.privateKey };
const AUTH = [...DEFAULT_EXTENSIONS, "AUTH PLAIN LOGIN"];

interface Asked extends AsyncDisposable {
  readonly directory: Directory;
  readonly peer: FakePeer;
  readonly clock: FakeClock;
  /** Commands of all connections so far, in order. */
  lines(): string[];
}

/** A directory over a scripted mail server. */
async function ask(peerOptions: FakePeerOptions = {}, changes: Partial<RemoteDirectoryConfig> = {}): Promise<Asked> {
  const peer = await startFakePeer(peerOptions);
  const clock = new FakeClock();
  const config: RemoteDirectoryConfig = {
    id: "mail",
    type: peerOptions.protocol ?? "smtp",
    domains: ["example.net"],
    cache: { size: 0, positive: 0, negative: 0 },
    pool: { maxConnections: 2, create: 30_000, wait: 30_000, recycle: 30_000 },
    address: "127.0.0.1",
    port: peer.port,
    tls: { implicit: false, allowInvalidCerts: true },
    limits: { rcpt: 25, authErrors: 3 },
    ...changes,
  };
  const directory = createDirectory(config, {
    threadPool: 1,
    stores: new Map(),
    clock,
    resolver: createZone({ "mail.example.net": { a: ["127.0.0.1"] }, "broken.example.net": { error: "servfail" } }),
    hostname: "mx.example.org",
  });
  return {
    directory,
    peer,
    clock,
    lines: () => peer.connections.flatMap((connection) => connection.lines),
    async [Symbol.asyncDispose]() {
      directory.close?.();
      await peer[Symbol.asyncDispose]();
    },
  };
}

const unavailable = (pattern: RegExp) => (error: unknown) =>
  error instanceof LookupUnavailable && pattern.test(error.message) || assert.fail(`${error}`);
const base64 = (text: string) => btoa(text);

for (const protocol of ["smtp", "lmtp"] as const) {
  Deno.test(`recipients are tried on an ${protocol.toUpperCase()} server from the null sender, and its connection is kept`, async () => {
    await using asked = await ask({
      protocol,
      on: ({ verb, line }) => verb === "RCPT" && !line.includes("ana") ? "550 5.1.1 no such user" : undefined,
    });
    const { directory } = asked;
    assert.deepEqual(await directory.recipients("ana@example.net"), ["ana@example.net"]);
    assert.deepEqual(await directory.recipients("bob@example.net"), []);
    assert.deepEqual(asked.lines(), [
      `${protocol === "lmtp" ? "LHLO" : "EHLO"} mx.example.org`,
      "MAIL FROM:<>",
      "RCPT TO:<ana@example.net>",
      "RSET",
      "MAIL FROM:<>",
      "RCPT TO:<bob@example.net>",
    ]);
    assert.deepEqual(
      await resolveRecipient(directory, "ana+tag@example.net", { subAddressing: true, catchAll: true }),
      { kind: "local", accounts: ["ana@example.net"], address: "ana+tag@example.net" },
    );
    assert.deepEqual(await resolveRecipient(directory, "x@example.net", { subAddressing: true, catchAll: true }), {
      kind: "unknown",
    });
    assert.deepEqual(
      await resolveRecipient(directory, "x@elsewhere.example", { subAddressing: true, catchAll: true }),
      {
        kind: "not-local",
      },
    );
    assert.equal(asked.peer.connections.length, 1);
  });
}

Deno.test("what a reply to RCPT says of a mailbox, and what it does not", async () => {
  const replies: readonly (readonly [string, readonly string[] | "unavailable"])[] = [
    ["250 2.1.5 ok", ["x@example.net"]],
    ["251 2.1.5 forwarded", ["x@example.net"]],
    ["552 5.2.2 mailbox full", ["x@example.net"]],
    ["550 5.1.1 unknown", []],
    ["550 unknown", []],
    ["553 5.1.3 no such address", []],
    ["550 5.2.1 disabled", []],
    ["450 4.2.0 greylisted", "unavailable"],
    ["451 4.3.0 try later", "unavailable"],
    ["550 5.7.1 relaying denied", "unavailable"],
    ["554 5.7.1 you are blocked", "unavailable"],
    ["530 5.7.0 authentication required", "unavailable"],
    ["503 5.5.1 bad sequence", "unavailable"],
    ["421 4.3.2 closing", "unavailable"],
    ["nonsense", "unavailable"],
  ];
  for (const [reply, wanted] of replies) {
    await using asked = await ask({ on: ({ verb }) => verb === "RCPT" ? reply : undefined });
    const answer = Promise.resolve(asked.directory.recipients("x@example.net"));
    if (wanted === "unavailable") await assert.rejects(answer, unavailable(/^directory mail: 127\.0\.0\.1/));
    else assert.deepEqual(await answer, wanted, reply);
  }
});

Deno.test("a server that takes no sender, no EHLO or no connection at all is unavailable", async () => {
  for (const verb of ["MAIL", "EHLO", "greeting"]) {
    await using asked = await ask({ on: (command) => command.verb === verb ? "554 5.7.1 not you" : undefined });
    await assert.rejects(
      async () => await asked.directory.recipients("x@example.net"),
      unavailable(/554 5\.7\.1 not you/),
    );
  }
  const asked = await ask();
  await asked.peer[Symbol.asyncDispose]();
  await assert.rejects(
    async () => await asked.directory.recipients("x@example.net"),
    unavailable(/refused the connection/),
  );
  await assert.rejects(asked.directory.login("ana", "x"), unavailable(/refused the connection/));
});

Deno.test("names are looked up in DNS, whose failure is no answer", async () => {
  await using asked = await ask({}, { address: "mail.example.net" });
  assert.deepEqual(await asked.directory.recipients("x@example.net"), ["x@example.net"]);
  for (
    const [address, pattern] of [["broken.example.net", /broken\.example\.net/], [
      "none.example.net",
      /has no address/,
    ]] as const
  ) {
    await using other = await ask({}, { address });
    await assert.rejects(async () => await other.directory.recipients("x@example.net"), unavailable(pattern));
  }
});

Deno.test("what cannot be a recipient is not asked about", async () => {
  await using asked = await ask();
  for (const address of ["@example.net", "", "a@", "a\r\nRCPT TO:<b@c>@example.net", "a\0@example.net"]) {
    assert.deepEqual(await asked.directory.recipients(address), []);
  }
  assert.deepEqual(asked.lines(), []);
});

Deno.test("an address beyond ASCII is asked about where the server understands it, or in ASCII", async () => {
  await using able = await ask({ extensions: [...DEFAULT_EXTENSIONS, "SMTPUTF8"] });
  assert.deepEqual(await able.directory.recipients("jörg@example.net"), ["jörg@example.net"]);
  assert.deepEqual(able.lines().slice(1), ["MAIL FROM:<> SMTPUTF8", "RCPT TO:<jörg@example.net>"]);
  await using unable = await ask();
  assert.deepEqual(await unable.directory.recipients("jörg@example.net"), []);
  assert.deepEqual(await unable.directory.recipients("ana@bücher.example"), ["ana@bücher.example"]);
  assert.deepEqual(unable.lines().filter((line) => !/^(?:EHLO|RSET)/.test(line)), [
    "MAIL FROM:<>",
    "RCPT TO:<ana@xn--bcher-kva.example>",
  ]);
});

Deno.test("after limits.rcpt recipients a session is left for a new one", async () => {
  await using asked = await ask({}, { limits: { rcpt: 2, authErrors: 3 } });
  for (let index = 0; index < 5; index++) await asked.directory.recipients(`x${index}@example.net`);
  assert.deepEqual(
    asked.peer.connections.map(({ lines }) => lines.filter((line) => line.startsWith("RCPT")).length),
    [2, 2, 1],
  );
});

Deno.test("a kept connection that the server closed is replaced without anybody noticing", async () => {
  await using asked = await ask();
  await asked.directory.recipients("x@example.net");
  asked.peer.connections[0]!.destroy();
  assert.deepEqual(await asked.directory.recipients("y@example.net"), ["y@example.net"]);
  assert.equal(asked.peer.connections.length, 2);
});

Deno.test("a silent server is given up when pool.timeout.create is over", async () => {
  await using asked = await ask({ on: ({ verb }) => verb === "RCPT" ? "silent" : undefined });
  const outcome = assert.rejects(
    Promise.resolve(asked.directory.recipients("x@example.net")),
    unavailable(/no answer within 30 s/),
  );
  await asked.peer.silence;
  await asked.clock.advance(30_000);
  await outcome;
});

Deno.test("a login is tried by AUTH PLAIN; 535 means no, anything else means nothing", async () => {
  await using asked = await ask({
    extensions: AUTH,
    on: ({ verb, line }) => verb === "AUTH" && !line.endsWith(base64("\0ana\0secret")) ? "535 5.7.8 no" : undefined,
  });
  const { directory } = asked;
  assert.deepEqual(await directory.login("ana", "secret"), {
    kind: "accepted",
    account: { name: "ana", class: "individual", emails: ["ana@example.net"] },
  });
  assert.equal((await directory.login("ana", "wrong")).kind, "refused");
  const [first, second] = asked.peer.connections;
  // RFC 4954 §4: a session takes one login, so the second came over a session of its own.
  assert.deepEqual(first!.lines.slice(0, 2), ["EHLO mx.example.org", `AUTH PLAIN ${base64("\0ana\0secret")}`]);
  assert.deepEqual(second!.lines, ["EHLO mx.example.org", `AUTH PLAIN ${base64("\0ana\0wrong")}`]);
  for (const [name, password] of [["", "x"], ["ana", ""], ["ana\0bob", "x"], ["ana", "x\r\nQUIT"]] as const) {
    assert.equal((await directory.login(name, password)).kind, "refused");
  }
  assert.equal(asked.peer.connections.length, 2);
  for (const reply of ["454 4.7.0 later", "550 5.7.1 not here", "534 5.7.9 too weak"]) {
    await using other = await ask({ extensions: AUTH, on: ({ verb }) => verb === "AUTH" ? reply : undefined });
    await assert.rejects(other.directory.login("ana", "secret"), unavailable(new RegExp(reply)));
  }
});

Deno.test("an account named by an address owns that address", async () => {
  await using asked = await ask({ extensions: AUTH });
  const result = await asked.directory.login("ana@Example.ORG", "secret");
  assert.deepEqual(result.kind === "accepted" && result.account.emails, ["ana@example.org"]);
});

Deno.test("LOGIN and CRAM-MD5 are spoken where the server has nothing better", async () => {
  await using login = await ask({
    extensions: ["AUTH LOGIN"],
    on: ({ line }) =>
      line === "AUTH LOGIN"
        ? "334 VXNlcm5hbWU6"
        : line === base64("ana")
        ? "334 UGFzc3dvcmQ6"
        : line === base64("secret")
        ? "235 2.7.0 ok"
        : undefined,
  });
  assert.equal((await login.directory.login("ana", "secret")).kind, "accepted");
  // RFC 2195 §2
  await using cram = await ask({
    extensions: ["AUTH CRAM-MD5"],
    on: ({ line }) =>
      line === "AUTH CRAM-MD5"
        ? `334 ${base64("<1896.697170952@postoffice.reston.mci.net>")}`
        : line === "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
        ? "235 2.7.0 ok"
        : undefined,
  });
  assert.equal((await cram.directory.login("tim", "tanstaaftanstaaf")).kind, "accepted");
  await using none = await ask({ extensions: ["AUTH GSSAPI"] });
  await assert.rejects(none.directory.login("ana", "secret"), unavailable(/offers only AUTH GSSAPI/));
});

Deno.test("after limits.auth-errors failures a session is left for a new one", async () => {
  await using asked = await ask({
    extensions: AUTH,
    on: ({ verb }) => verb === "AUTH" ? "535 5.7.8 no" : undefined,
  }, { limits: { rcpt: 25, authErrors: 2 } });
  for (let index = 0; index < 3; index++) await asked.directory.login("ana", "wrong");
  assert.deepEqual(
    asked.peer.connections.map(({ lines }) => lines.filter((line) => line.startsWith("AUTH")).length),
    [2, 1],
  );
});

Deno.test("TLS is used where it is offered, and its certificate is checked unless that is switched off", async () => {
  const offered = { extensions: [...AUTH, "STARTTLS"], tls: { ...TLS, injected: "235 2.7.0 injected\r\n" } };
  await using lenient = await ask(offered, { address: "mail.example.net" });
  assert.equal((await lenient.directory.login("ana", "secret")).kind, "accepted");
  const [connection] = lenient.peer.connections;
  assert.equal(connection?.encrypted, true);
  assert.deepEqual(connection?.lines.slice(0, 3), ["EHLO mx.example.org", "STARTTLS", "EHLO mx.example.org"]);

  const strict = { address: "mail.example.net", tls: { implicit: false, allowInvalidCerts: false } };
  await using checked = await ask(offered, strict);
  await assert.rejects(
    checked.directory.login("ana", "secret"),
    unavailable(/certificate of mail\.example\.net does not verify/),
  );
  assert.ok(!checked.lines().some((line) => line.startsWith("AUTH")));

  await using implicit = await ask({ extensions: AUTH, tls: { ...TLS, implicit: true } }, {
    address: "mail.example.net",
    tls: { implicit: true, allowInvalidCerts: true },
  });
  assert.equal((await implicit.directory.login("ana", "secret")).kind, "accepted");
});

/** A scripted IMAP server: each line is answered by `answer`, given the tag and the rest. */
async function withImap(
  answer: (tag: string, text: string) => string,
  body: (directory: Directory, lines: readonly string[]) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write("* OK ready\r\n");
    let held = "";
    socket.on("data", (bytes: Uint8Array) => {
      held += new TextDecoder().decode(bytes);
      for (let end = held.indexOf("\r\n"); end >= 0; end = held.indexOf("\r\n")) {
        const line = held.slice(0, end);
        held = held.slice(end + 2);
        lines.push(line);
        const [tag = "", ...rest] = line.split(" ");
        socket.write(answer(tag, rest.join(" ")));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await using asked = await ask({}, {
    type: "imap",
    port: typeof address === "object" && address !== null ? address.port : 0,
  });
  try {
    await body(asked.directory, lines);
  } finally {
    asked.directory.close?.();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

Deno.test("an IMAP server is asked about logins, not about recipients", async () => {
  for (const ir of [" SASL-IR", ""]) {
    let tagged = "";
    await withImap((tag, text) => {
      if (text === "CAPABILITY") return `* CAPABILITY IMAP4rev1 AUTH=PLAIN${ir}\r\n${tag} OK done\r\n`;
      if (text === "AUTHENTICATE PLAIN") return (tagged = tag, "+ \r\n");
      const [response = ""] = text === "" ? [tag] : text.split(" ").slice(-1);
      const right = response === base64("\0ana\0secret");
      const end = text === "" ? tagged : tag;
      return right
        ? `* something\r\n${end} OK [CAPABILITY IMAP4rev1] in\r\n`
        : `${end} NO [AUTHENTICATIONFAILED] no\r\n`;
    }, async (directory, lines) => {
      assert.equal((await directory.login("ana", "secret")).kind, "accepted");
      assert.equal((await directory.login("ana", "wrong")).kind, "refused");
      assert.deepEqual(await directory.recipients("ana@example.net"), []);
      assert.equal(await directory.isLocalDomain("example.net"), true);
      assert.ok(lines.includes("g1 CAPABILITY"));
    });
  }
});

Deno.test("an IMAP server that cannot tell is unavailable", async () => {
  for (
    const [done, pattern] of [
      ["NO [UNAVAILABLE] later", /NO \[UNAVAILABLE\]/],
      ["BAD what", /BAD what/],
    ] as const
  ) {
    await withImap(
      (tag, text) => text === "CAPABILITY" ? `* CAPABILITY AUTH=PLAIN SASL-IR\r\n${tag} OK\r\n` : `${tag} ${done}\r\n`,
      async (directory) => {
        await assert.rejects(directory.login("ana", "secret"), unavailable(pattern));
      },
    );
  }
  await withImap((tag) => `* CAPABILITY LOGINDISABLED\r\n${tag} OK\r\n`, async (directory) => {
    await assert.rejects(directory.login("ana", "secret"), unavailable(/does not offer AUTH=PLAIN/));
  });
  await withImap(() => "* BYE down\r\n", async (directory) => {
    await assert.rejects(directory.login("ana", "secret"), unavailable(/BYE down/));
  });
  await withImap(() => "x".repeat(100_000), async (directory) => {
    await assert.rejects(directory.login("ana", "secret"), unavailable(/line without end/));
  });
});
