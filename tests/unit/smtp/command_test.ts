import assert from "node:assert/strict";
import { type Command, type CommandResult, parseCommand } from "../../../src/smtp/mod.ts";

const encoder = new TextEncoder();

function parse(line: string): CommandResult {
  return parseCommand(encoder.encode(line));
}

function command(line: string): Command {
  const result = parse(line);
  assert.equal(result.kind, "command", `${line}: ${JSON.stringify(result)}`);
  return (result as Extract<CommandResult, { kind: "command" }>).command;
}

function path(line: string): string {
  const parsed = command(line);
  assert.ok(parsed.verb === "MAIL" || parsed.verb === "RCPT");
  return parsed.path;
}

function refused(line: string | Uint8Array, code: number, enhanced: string, verb?: string): void {
  const result = typeof line === "string" ? parse(line) : parseCommand(line);
  assert.equal(result.kind, "error", `${line} was taken`);
  const error = result as Extract<CommandResult, { kind: "error" }>;
  assert.deepEqual([error.reply.code, error.reply.enhanced], [code, enhanced], String(line));
  if (verb !== undefined) assert.equal(error.verb, verb);
}

Deno.test("verbs are read in any case and blanks at the end are passed over", () => {
  assert.deepEqual(command("ehlo client.example"), { verb: "EHLO", domain: "client.example" });
  assert.deepEqual(command("HELO x"), { verb: "HELO", domain: "x" });
  assert.deepEqual(command("LhLo [192.0.2.1] \t "), { verb: "LHLO", domain: "[192.0.2.1]" });
  for (const verb of ["DATA", "RSET", "QUIT", "STARTTLS"] as const) {
    assert.deepEqual(command(verb), { verb });
    assert.deepEqual(command(`${verb.toLowerCase()}  `), { verb });
  }
  assert.deepEqual(command("NOOP"), { verb: "NOOP", argument: "", nonAscii: false });
  assert.deepEqual(command("NOOP any thing"), { verb: "NOOP", argument: "any thing", nonAscii: false });
  assert.deepEqual(command("HELP mail"), { verb: "HELP", argument: "mail", nonAscii: false });
  assert.deepEqual(command("VRFY jürgen"), { verb: "VRFY", argument: "jürgen", nonAscii: true });
  assert.deepEqual(command("EXPN list"), { verb: "EXPN", argument: "list", nonAscii: false });
});

Deno.test("AUTH and BDAT", () => {
  assert.deepEqual(command("AUTH plain AGEAYg=="), { verb: "AUTH", mechanism: "PLAIN", initial: "AGEAYg==" });
  assert.deepEqual(command("AUTH LOGIN"), { verb: "AUTH", mechanism: "LOGIN", initial: undefined });
  assert.deepEqual(command("AUTH EXTERNAL ="), { verb: "AUTH", mechanism: "EXTERNAL", initial: "=" });
  assert.deepEqual(command("BDAT 86 LAST"), { verb: "BDAT", size: 86, last: true });
  assert.deepEqual(command("bdat 0 last"), { verb: "BDAT", size: 0, last: true });
  assert.deepEqual(command("BDAT 1048576"), { verb: "BDAT", size: 1048576, last: false });
  for (const bad of ["AUTH", "AUTH PLAIN a b", "AUTH PL@IN", `AUTH ${"A".repeat(21)}`]) {
    refused(bad, 501, "5.5.4", "AUTH");
  }
  for (const bad of ["BDAT", "BDAT -1", "BDAT x", "BDAT 1 LASTLY", "BDAT 99999999999999999999", "BDAT 1 LAST x"]) {
    refused(bad, 501, "5.5.4", "BDAT");
  }
});

Deno.test("unknown commands answer 500 5.5.1, unreadable ones 500 5.5.2", () => {
  refused("FROB x", 500, "5.5.1", "FROB");
  refused("GET / HTTP/1.1", 500, "5.5.1", "GET");
  refused("MAILFROM:<a@b.example>", 500, "5.5.1");
  refused("", 500, "5.5.2", "");
  refused("   ", 500, "5.5.2", "");
  refused(" NOOP", 500, "5.5.2");
  refused("NOOP\0", 500, "5.5.2", "NOOP");
  refused("MAIL FROM:<a\rb@c.example>", 500, "5.5.2", "MAIL");
  refused("MAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>", 500, "5.5.2", "MAIL");
  refused("NOOP a\x7fb", 500, "5.5.2");
  refused("NOOP a\tb", 500, "5.5.2");
  refused("NOOP \u0085", 500, "5.5.2");
  refused(Uint8Array.of(0x4e, 0x4f, 0x4f, 0x50, 0x20, 0xff), 500, "5.5.2", "NOOP");
  refused(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00), 500, "5.5.2", "");
});

Deno.test("arguments that are missing or too many answer 501 5.5.4", () => {
  for (const bad of ["EHLO", "HELO", "LHLO", "EHLO a b", "EHLO hôte.example", `EHLO ${"a".repeat(256)}`]) {
    refused(bad, 501, "5.5.4");
  }
  for (const bad of ["DATA x", "RSET now", "QUIT quickly", "STARTTLS 1", "VRFY", "EXPN"]) refused(bad, 501, "5.5.4");
  for (
    const bad of ["MAIL", "MAIL TO:<a@b.example>", "MAIL FROM", "MAIL <a@b.example>", "RCPT", "RCPT FROM:<a@b.example>"]
  ) {
    refused(bad, 501, "5.5.4");
  }
});

Deno.test("paths are read and normalised", () => {
  const table: [string, string][] = [
    ["<a@example.org>", "a@example.org"],
    ["<A.B@EXAMPLE.Org>", "A.B@example.org"],
    ["<user+tag=x@example.org>", "user+tag=x@example.org"],
    ["<!#$%&'*+-/=?^_`{|}~@example.org>", "!#$%&'*+-/=?^_`{|}~@example.org"],
    ["<a@localhost>", "a@localhost"],
    ["<a@[192.0.2.1]>", "a@[192.0.2.1]"],
    ["<a@[IPv6:2001:DB8::1]>", "a@[ipv6:2001:db8::1]"],
    ["<a@[tag:x>y@z]>", "a@[tag:x>y@z]"],
    ['<"a b"@example.org>', '"a b"@example.org'],
    ['<"plain"@example.org>', "plain@example.org"],
    ['<"a\\b"@example.org>', "ab@example.org"],
    ['<"a\\"b"@example.org>', '"a\\"b"@example.org'],
    ['<"a\\\\b"@example.org>', '"a\\\\b"@example.org'],
    ['<"a@b>c"@example.org>', '"a@b>c"@example.org'],
    ['<""@example.org>', '""@example.org'],
    ["<@relay.example:a@example.org>", "a@example.org"],
    ["<@one.example,@[192.0.2.7]:a@example.org>", "a@example.org"],
    ["<@[IPv6:::1],@two.example:a@example.org>", "a@example.org"],
    ["<jürgen@Bücher.example>", "jürgen@bücher.example"],
    // NFD on the wire, NFC in the result
    ["<a@bu\u0308cher.example>", "a@bücher.example"],
    ["<a@日本。例え.テスト>", "a@日本.例え.テスト"],
    ["<a@faß.example>", "a@faß.example"],
  ];
  for (const [written, expected] of table) {
    assert.equal(path(`MAIL FROM:${written}`), expected, written);
    assert.equal(path(`RCPT TO:${written}`), expected, written);
  }
});

Deno.test("the null path is for MAIL, the bare postmaster for RCPT", () => {
  assert.equal(path("MAIL FROM:<>"), "");
  refused("RCPT TO:<>", 501, "5.1.3");
  assert.equal(path("RCPT TO:<PostMaster>"), "postmaster");
  refused("RCPT TO:<root>", 501, "5.1.3");
  refused("MAIL FROM:<postmaster>", 501, "5.1.7");
});

Deno.test("blanks before the path are let pass, missing brackets are not", () => {
  assert.equal(path("MAIL FROM: <a@example.org>"), "a@example.org");
  assert.equal(path("mail  from:  <a@example.org>  "), "a@example.org");
  refused("MAIL FROM:a@example.org", 501, "5.1.7");
  refused("RCPT TO:a@example.org", 501, "5.1.3");
  refused("RCPT TO:<a@example.org", 501, "5.1.3");
});

Deno.test("malformed paths answer 501 with 5.1.7 for senders and 5.1.3 for recipients", () => {
  const bad = [
    "<a@>",
    "<@example.org>",
    "<a>",
    "<.a@example.org>",
    "<a.@example.org>",
    "<a..b@example.org>",
    "<a b@example.org>",
    "<a@b@example.org>",
    "<a@example..org>",
    "<a@.example.org>",
    "<a@example.org.>",
    "<a@-example.org>",
    "<a@exa mple.org>",
    "<a@[192.0.2.300]>",
    "<a@[192.0.2.1>",
    "<a@[IPv6:zz::1]>",
    "<a@192.0.2.1]>",
    '<"a@example.org>',
    '<"a"b@example.org>',
    '<a"b"@example.org>',
    "<a(comment)@example.org>",
    "<a,b@example.org>",
    "<@relay.example a@example.org>",
    "<relay.example:a@example.org>",
    "<@relay.example:>",
    "<<a@example.org>>",
    `<a@${"ü".repeat(70)}.example>`,
  ];
  for (const written of bad) {
    refused(`MAIL FROM:${written}`, 501, "5.1.7", "MAIL");
    refused(`RCPT TO:${written}`, 501, "5.1.3", "RCPT");
  }
});

Deno.test("the limits of RFC 5321 on local part, domain and path are kept", () => {
  const local = "l".repeat(64);
  const label = "d".repeat(63);
  assert.equal(path(`RCPT TO:<${local}@example.org>`), `${local}@example.org`);
  refused(`RCPT TO:<${local}l@example.org>`, 501, "5.1.3");
  refused(`MAIL FROM:<${"ü".repeat(33)}@example.org>`, 501, "5.1.7");
  assert.equal(path(`RCPT TO:<${"ü".repeat(32)}@example.org>`), `${"ü".repeat(32)}@example.org`);
  // 256 octets with brackets: 1 + 1 + 1 + 252 + 1
  const domain = `${label}.${label}.${label}.${"e".repeat(60)}`;
  assert.equal(domain.length, 252);
  assert.equal(path(`RCPT TO:<a@${domain}>`), `a@${domain}`);
  refused(`RCPT TO:<ab@${domain}>`, 501, "5.1.3");
  refused(`RCPT TO:<a@${domain}.ee>`, 501, "5.1.3");
  refused(`MAIL FROM:<a@${label}.${label}.${label}.${label}>`, 501, "5.1.7");
});

Deno.test("parameters are split into keyword and value", () => {
  assert.deepEqual(command("MAIL FROM:<a@example.org> size=100 BODY=8BITMIME SMTPUTF8"), {
    verb: "MAIL",
    path: "a@example.org",
    parameters: [
      { keyword: "SIZE", value: "100" },
      { keyword: "BODY", value: "8BITMIME" },
      { keyword: "SMTPUTF8", value: undefined },
    ],
    nonAscii: false,
  });
  assert.deepEqual(command("RCPT TO:<a@example.org>   ORCPT=utf-8;jürgen@example.org  NOTIFY=NEVER "), {
    verb: "RCPT",
    path: "a@example.org",
    parameters: [
      { keyword: "ORCPT", value: "utf-8;jürgen@example.org" },
      { keyword: "NOTIFY", value: "NEVER" },
    ],
    nonAscii: true,
  });
  for (const bad of ["=1", "SIZE=", "-X=1", "SI_ZE=1", "A;B"]) {
    refused(`MAIL FROM:<a@example.org> ${bad}`, 501, "5.5.4");
  }
  refused("MAIL FROM:<a@example.org>SIZE=1", 501, "5.5.4");
  refused("MAIL FROM:<a@example.org>, <b@example.org>", 501, "5.5.4");
});
