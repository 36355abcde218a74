import assert from "node:assert/strict";
import { memoryContent, parseHeader } from "../../../src/message/mod.ts";
import type { NewMessage, NoticeRecipient, QueuedMessage } from "../../../src/queue/types.ts";
import { createDsnBuilder } from "../../../src/report/mod.ts";
import type { MailParameters, Notify, RcptParameters } from "../../../src/smtp/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const NOW = Date.UTC(2026, 0, 5, 12);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const ORIGINAL = "From: alice@example.org\r\nSubject: Plans\r\nMessage-ID: <m1@example.org>\r\n\r\nSecret body\r\n";

const told: string[] = [];
const build = createDsnBuilder({
  hostname: "mx.example.net",
  reportDomain: "example.net",
  from: () => ({ name: "Mail Delivery Subsystem", address: "MAILER-DAEMON@example.net" }),
  clock: new FakeClock(NOW),
  emit: (name, fields) => void told.push(`${name} ${fields?.to}`),
  random: () => 0.5,
  largestReturned: 1000,
});

function message(parameters: MailParameters = {}, sender = "alice@example.org", original = ORIGINAL): QueuedMessage {
  const content = memoryContent(encoder.encode(original));
  return {
    id: 5,
    envelope: { sender, parameters },
    source: "authenticated",
    priority: 3,
    created: NOW - 3_600_000,
    size: content.size,
    content,
    receivedFromIp: "192.0.2.1",
    receivedViaPort: 587,
    allRecipients: ["bob@example.com"],
  };
}

function notice(
  action: NoticeRecipient["action"],
  parameters: RcptParameters = {},
  more: Partial<NoticeRecipient> = {},
  address = "bob@example.com",
): NoticeRecipient {
  return {
    recipient: {
      id: 1,
      address,
      domain: address.slice(address.indexOf("@") + 1),
      parameters,
      attempts: 1,
      notified: 0,
      lastError: "none",
      lastStatus: 0,
    },
    action,
    detail: {
      lastError: "unexpected-reply",
      status: 550,
      enhanced: "5.1.1",
      text: "mx.example.com[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO)",
      host: "mx.example.com",
      reply: "550 5.1.1 No such user",
    },
    ...more,
  };
}

function notify(...words: (keyof Notify)[]): RcptParameters {
  const all = { never: false, success: false, failure: false, delay: false };
  return { notify: Object.assign(all, Object.fromEntries(words.map((word) => [word, true]))) };
}

interface Parts {
  header: string;
  text: string;
  status: string;
  returned: string;
}

/** Splits a notification at its boundary, as a reader does. */
function parts(built: NewMessage | undefined): Parts {
  assert.ok(built !== undefined);
  const text = decoder.decode(built.content.head);
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1] ?? "";
  const [header = "", first = "", second = "", third = "", end] = text.split(`\r\n--${boundary}`);
  assert.equal(end, "--\r\n");
  return { header, text: first, status: second, returned: third };
}

Deno.test("a failure is reported to the sender, from the null sender, asking for no notice itself", () => {
  const built = build(message(), [notice("failed")], 77);
  assert.ok(built);
  assert.equal(built.id, 77);
  assert.equal(built.source, "dsn");
  assert.equal(built.priority, 3);
  assert.deepEqual(built.envelope, { sender: "", parameters: {} });
  assert.deepEqual(built.recipients, [{
    address: "alice@example.org",
    parameters: { notify: { never: true, success: false, failure: false, delay: false } },
  }]);
  assert.ok(built.content.complete);
  const { fields } = parseHeader(built.content.head);
  const field = (name: string) => fields.find(({ lower }) => lower === name)?.value();
  assert.equal(field("date"), "Mon, 05 Jan 2026 12:00:00 +0000");
  assert.equal(field("from"), "Mail Delivery Subsystem <MAILER-DAEMON@example.net>");
  assert.equal(field("to"), "<alice@example.org>");
  assert.equal(field("auto-submitted"), "auto-replied");
  assert.equal(field("in-reply-to"), "<m1@example.org>");
  assert.match(field("message-id") ?? "", /^<[^@ ]+@example\.net>$/);
  assert.match(field("content-type") ?? "", /^multipart\/report; report-type=delivery-status; boundary="[^"]+"$/);
});

Deno.test("the status part has the fields of RFC 3464", () => {
  const { status } = parts(build(
    message({ envid: "QQ314159" }),
    [
      notice("failed", { orcpt: { type: "rfc822", address: "Bob@example.com" } }),
      notice("delayed", {}, {
        detail: { lastError: "connection", status: 0, enhanced: "4.4.1", text: "connection refused", host: "" },
        willRetryUntil: NOW + 86_400_000,
      }, "carol@example.com"),
    ],
    1,
  ));
  assert.equal(
    status,
    "\r\nContent-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n" +
      "Content-Transfer-Encoding: 7bit\r\n\r\n" +
      "Original-Envelope-Id: QQ314159\r\n" +
      "Reporting-MTA: dns; mx.example.net\r\n" +
      "Arrival-Date: Mon, 05 Jan 2026 11:00:00 +0000\r\n" +
      "\r\n" +
      "Original-Recipient: rfc822; Bob@example.com\r\n" +
      "Final-Recipient: rfc822; bob@example.com\r\n" +
      "Action: failed\r\n" +
      "Status: 5.1.1\r\n" +
      "Remote-MTA: dns; mx.example.com\r\n" +
      "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n" +
      "Last-Attempt-Date: Mon, 05 Jan 2026 12:00:00 +0000\r\n" +
      "\r\n" +
      "Final-Recipient: rfc822; carol@example.com\r\n" +
      "Action: delayed\r\n" +
      "Status: 4.4.1\r\n" +
      "Diagnostic-Code: x-godwit; connection refused\r\n" +
      "Last-Attempt-Date: Mon, 05 Jan 2026 12:00:00 +0000\r\n" +
      "Will-Retry-Until: Tue, 06 Jan 2026 12:00:00 +0000\r\n",
  );
});

Deno.test("a notice that comes of no attempt names no time of one", () => {
  const { status } = parts(build(message(), [notice("failed", {}, { unattempted: true })], 1));
  assert.match(status, /\r\nAction: failed\r\n/);
  // RFC 3464 §2.3.7: the field is for the time of the last attempt, and optional.
  assert.doesNotMatch(status, /Last-Attempt-Date/);
});

Deno.test("the text says what happened to whom, why, and what to do", () => {
  const { text } = parts(build(message(), [notice("failed")], 1));
  const flat = text.replace(/\r\n */g, " ");
  assert.match(flat, /mail server mx\.example\.net/);
  assert.match(flat, /Subject: Plans/);
  assert.match(flat, /could not be delivered/);
  assert.match(
    flat,
    /bob@example\.com mx\.example\.com\[192\.0\.2\.1\] said: 550 5\.1\.1 No such user \(in reply to RCPT TO\) What you can do: check the spelling/,
  );
  assert.ok(text.split("\r\n").every((line) => line.length <= 78));
});

Deno.test("the end of the conversation is quoted, once for recipients that share it", () => {
  const dialogue = [
    { at: 0, from: "server", text: "220 the beginning" },
    ...Array.from({ length: 6 }, (_, at) => ({ at, from: "client", text: `NOOP ${at}` }) as const),
    { at: 12, from: "server", text: `550 5.1.1 No\u0007 such ${"user ".repeat(200)}` },
    { at: 1250, from: "note", text: "connection closed by the other side" },
  ] as const;
  const { detail } = notice("failed");
  const said = { detail: { ...detail, dialogue } };
  const { text } = parts(
    build(message(), [notice("failed", {}, said), notice("failed", {}, said, "eve@example.com")], 1),
  );
  const quoted = text.split("\r\n").filter((line) => line.startsWith("    "));
  assert.equal(quoted.length, 8);
  assert.equal(quoted[0], "    0.000 C: NOOP 0");
  assert.match(quoted[6] ?? "", /^ {4}0\.012 S: 550 5\.1\.1 No\? such user user .*\.\.\.$/);
  assert.equal(quoted[7], "    1.250 -- connection closed by the other side");
  assert.ok(quoted.every((line) => line.length <= 128));
  assert.ok(!text.includes("the beginning"));
});

Deno.test("a quoted conversation names no other recipient", () => {
  const dialogue = [
    { at: 1, from: "client", text: "RCPT TO:<hidden@example.com> NOTIFY=NEVER" },
    { at: 2, from: "server", text: "250 hidden is fine" },
    { at: 1, from: "client", text: "RCPT TO:<Bob@example.com>" },
    { at: 2, from: "server", text: "550 5.1.1 no Bob" },
  ] as const;
  const { text } = parts(
    build(message(), [notice("failed", {}, { detail: { ...notice("failed").detail, dialogue } })], 1),
  );
  assert.ok(!text.includes("hidden"));
  assert.match(text, /C: RCPT TO:<Bob@example\.com>\r\n {4}0\.002 S: 550 5\.1\.1 no Bob\r\n/);
});

Deno.test("NOTIFY decides who is reported on", () => {
  const table: [NoticeRecipient["action"], RcptParameters, boolean][] = [
    ["failed", {}, true],
    ["failed", notify("never"), false],
    ["failed", notify("failure"), true],
    ["failed", notify("success", "delay"), false],
    ["delayed", {}, true],
    ["delayed", notify("never"), false],
    ["delayed", notify("delay"), true],
    ["delayed", notify("failure", "success"), false],
    ["delivered", {}, false],
    ["delivered", notify("never"), false],
    ["delivered", notify("success"), true],
    ["delivered", notify("failure", "delay"), false],
    ["relayed", {}, false],
    ["relayed", notify("success"), true],
    ["expanded", notify("success"), true],
    ["expanded", {}, false],
  ];
  for (const [action, parameters, told] of table) {
    assert.equal(
      build(message(), [notice(action, parameters)], 1) !== undefined,
      told,
      JSON.stringify([action, parameters]),
    );
  }
});

Deno.test("recipients who asked for no notice are not in it", () => {
  const { status } = parts(
    build(message(), [notice("failed", notify("never")), notice("failed", {}, {}, "carol@example.com")], 1),
  );
  assert.ok(!status.includes("bob@"));
  assert.ok(status.includes("carol@"));
});

Deno.test("nothing is sent to the null sender", () => {
  assert.equal(build(message({}, ""), [notice("failed")], 1), undefined);
  assert.equal(build(message(), [], 1), undefined);
});

Deno.test("the whole message comes back only if asked for, on failure, and if it is small", () => {
  const whole = (parameters: MailParameters, action: NoticeRecipient["action"] = "failed", original = ORIGINAL) => {
    const { returned } = parts(
      build(
        message(parameters, "alice@example.org", original),
        [notice(action, notify("success", "failure", "delay"))],
        1,
      ),
    );
    assert.ok(returned.includes("Subject: Plans"));
    assert.equal(returned.includes("message/rfc822\r\n"), returned.includes("Secret body"));
    assert.equal(returned.includes("text/rfc822-headers\r\n"), !returned.includes("Secret body"));
    return returned.includes("Secret body");
  };
  assert.ok(whole({ ret: "full" }));
  assert.ok(!whole({}));
  assert.ok(!whole({ ret: "hdrs" }));
  assert.ok(!whole({ ret: "full" }, "delayed"));
  assert.ok(!whole({ ret: "full" }, "delivered"));
  assert.ok(!whole({ ret: "full", body: "binarymime" }));
  assert.ok(!whole({ ret: "full", requiretls: true }));
  assert.ok(!whole({ ret: "full" }, "failed", ORIGINAL + "x".repeat(1000)));
});

Deno.test("of a huge header only whole fields come back", () => {
  const original = `Subject: Plans\r\n${`X-Filler: ${"x".repeat(990)}\r\n`.repeat(100)}\r\nSecret body\r\n`;
  const { returned } = parts(build(message({}, "alice@example.org", original), [notice("failed")], 1));
  assert.ok(returned.length < 70_000);
  assert.ok(returned.endsWith("xxx\r\n"));
});

Deno.test("a notice about TLS-only mail is TLS-only, and as urgent as the message", () => {
  const built = build(message({ requiretls: true, mtPriority: 4 }), [notice("failed")], 1);
  assert.deepEqual(built?.envelope.parameters, { requiretls: true, mtPriority: 4 });
});

Deno.test("international mail is reported in the form of RFC 6533", () => {
  const sender = "älice@bücher.example";
  const original = "From: älice@bücher.example\r\nSubject: Grüße\r\n\r\nText\r\n";
  const built = build(message({ smtputf8: true, ret: "full" }, sender, original), [
    notice("failed", { orcpt: { type: "utf-8", address: "Jürgen@example.com" } }, {}, "jürgen@example.com"),
  ], 1);
  assert.deepEqual(built?.envelope.parameters, { body: "8bitmime", smtputf8: true });
  assert.equal(built?.recipients[0]?.address, sender);
  const { header, text, status, returned } = parts(built);
  assert.match(header, /To: <älice@bücher\.example>\r\n/);
  assert.match(text, /Content-Transfer-Encoding: quoted-printable/);
  assert.match(status, /Content-Type: message\/global-delivery-status\r\n/);
  assert.match(status, /Content-Transfer-Encoding: 8bit\r\n/);
  assert.match(status, /Original-Recipient: utf-8; Jürgen@example\.com\r\n/);
  assert.match(status, /Final-Recipient: utf-8; jürgen@example\.com\r\n/);
  assert.match(returned, /Content-Type: message\/global\r\n/);
  assert.match(returned, /Subject: Grüße\r\n/);
  const headers = parts(build(message({ smtputf8: true }, sender, original), [notice("failed")], 1));
  assert.match(headers.returned, /Content-Type: message\/global-headers\r\n/);
});

Deno.test("an ASCII sender of a message with 8-bit header gets an 8-bit notice without SMTPUTF8", () => {
  const built = build(message({}, "alice@example.org", "Subject: grün\r\n\r\nx\r\n"), [notice("failed")], 1);
  assert.deepEqual(built?.envelope.parameters, { body: "8bitmime" });
});

Deno.test("hostile text of the peer stays in its place", () => {
  const detail = {
    lastError: "unexpected-reply" as const,
    status: 554,
    enhanced: "5.0.0\r\nX: y",
    text: "it said: no\r\n\r\n--boundary\r\nContent-Type: text/html\0\x1b[31m ü",
    host: "evil host\r\nX: y",
    reply: "554 5.0.0\r\nX: y no\r\n\r\n--boundary\r\nContent-Type: text/html\0\x1b[31m ü",
  };
  const built = build(message(), [notice("failed", {}, { detail })], 1);
  const { text, status } = parts(built);
  assert.ok(!text.includes("\r\n--boundary"));
  assert.match(status, /Status: 5\.0\.0\r\n/);
  assert.ok(!status.includes("Remote-MTA"));
  assert.ok(!/^X: y/m.test(status));
  assert.match(
    status.replace(/\r\n /g, " "),
    /Diagnostic-Code: smtp; 554 5\.0\.0 {1,3}X: y no --boundary Content-Type: text\/html/,
  );
});

Deno.test("a very long answer is cut", () => {
  const detail = {
    lastError: "unexpected-reply" as const,
    status: 554,
    enhanced: "5.0.0",
    text: "word ".repeat(100_000),
    host: "",
  };
  const built = build(message(), [notice("failed", {}, { detail })], 1);
  assert.ok((built?.content.size ?? Infinity) < 10_000);
});

Deno.test("success is reported where the other side reports none", () => {
  const detail = { lastError: "none" as const, status: 250, enhanced: "", text: "ok", host: "mx.example.com" };
  const { header, text, status } = parts(build(message(), [notice("relayed", notify("success"), { detail })], 1));
  assert.match(header, /Subject: Your message was passed on\r\n/);
  assert.match(text, /Passed on to mx\.example\.com\./);
  assert.match(status, /Action: relayed\r\nStatus: 2\.0\.0\r\n/);
});

Deno.test("holds and deadlines that were asked for are reported (RFC 4865 section 5.1.2, RFC 2852 section 5)", () => {
  const fields = (parameters: MailParameters) => {
    const built = build(message(parameters), [notice("failed")], 1);
    const text = decoder.decode(built?.content.head);
    return /\r\nArrival-Date: [^\r]*\r\n((?:(?!\r\n)[^\r]*\r\n)*)\r\n/.exec(text)?.[1];
  };
  assert.equal(fields({}), "");
  assert.equal(fields({ holdFor: 3600 }), "Future-Release-Request: for;3600\r\n");
  assert.equal(
    fields({ holdUntil: Date.UTC(2026, 0, 5, 11, 30), by: { seconds: 7200, mode: "return", trace: false } }),
    "Deliver-By-Date: Mon, 05 Jan 2026 13:00:00 +0000\r\nFuture-Release-Request: until;2026-01-05T11:30:00Z\r\n",
  );
});

Deno.test("the log says who hears of what, and of failures that nobody hears of", () => {
  told.length = 0;
  const recipients = [
    notice("failed"),
    notice("failed", notify("never"), {}, "silent@example.com"),
    notice("delayed", {}, {}, "late@example.com"),
    notice("delivered", notify("success"), {}, "there@example.com"),
    notice("delivered", {}, {}, "unasked@example.com"),
  ];
  build(message(), recipients, 78);
  assert.deepEqual(told.splice(0), [
    "delivery.dsn-perm-fail bob@example.com",
    "delivery.dsn-temp-fail late@example.com",
    "delivery.dsn-success there@example.com",
  ]);
  build(message({}, ""), recipients, 79);
  assert.deepEqual(told, ["delivery.double-bounce bob@example.com,silent@example.com"]);
});
