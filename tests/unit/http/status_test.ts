import assert from "node:assert/strict";
import type { Mailboxes, MailSummary } from "../../../src/http/mod.ts";
import { relativeTime } from "../../../src/http/status/markup.ts";
import { SCRIPT, STYLE } from "../../../src/http/status/assets.ts";
import { StoreUnavailable } from "../../../src/queue/types.ts";
import { message, recipient, world } from "./support.ts";

const HOSTILE = `"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;`;
const ESCAPED = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;";

/** Mailboxes with one message. */
function oneMail(text: string, changes: Partial<MailSummary> = {}): Mailboxes {
  const bytes = new TextEncoder().encode(text);
  const summary: MailSummary = {
    mailbox: "Ym94",
    id: "1.a",
    mailboxName: "box",
    delivered: "2026-01-05T11:59:00.000Z",
    size: bytes.length,
    from: "a@b.example",
    to: "c@d.example",
    subject: "Hello",
    ...changes,
  };
  return {
    list: () => Promise.resolve([{ id: "Ym94", name: "box", messages: 1 }]),
    latest: () => Promise.resolve([summary]),
    read: (mailbox, id) => Promise.resolve(mailbox === "Ym94" && id === "1.a" ? bytes : undefined),
  };
}

/** The page without its markup, blanks run together. */
function words(page: string): string {
  return page.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
}

Deno.test("the overview shows what waits, why, and when the next attempt is", async () => {
  const text = words(await (await world().ask("/")).text());
  assert.match(text, /Ready for mail/);
  assert.match(text, /Messages 1 Recipients waiting 1 In delivery 0 Held 0/);
  assert.match(text, /ana@example\.net to bo@example\.org waiting mx\.example\.org: connection refused/);
  assert.match(text, /next attempt in 10 min · 2 attempts so far · accepted 1 h ago · 4 KB/);
  assert.match(text, /smtp SMTP 3 connections 127\.0\.0\.1:2525/);
  assert.match(text, /Nothing was delivered yet/);
  assert.doesNotMatch(text, /Delivered mail/);
});

Deno.test("recent outcomes are listed with the peer's words", async () => {
  const { deps } = world();
  const event = {
    time: "2026-01-05T11:58:00.000Z",
    name: "delivery.failed",
    recipient: "no@example.org",
    text: "550 5.1.1 unknown",
    message: "1",
    sender: "",
  };
  const { ask } = world({ queue: { ...deps.queue, recent: () => Promise.resolve([event]) } });
  assert.match(
    words(await (await ask("/")).text()),
    /null sender to no@example\.org failed 550 5\.1\.1 unknown 2 min ago/,
  );
});

Deno.test("a program that is not ready, or has no store, says so first", async () => {
  const notReady = world({ ready: () => ({ ready: false, reasons: ["draining"] }) });
  assert.match(words(await (await notReady.ask("/")).text()), /Not ready for mail\. draining\./);
  const down = () => Promise.reject(new StoreUnavailable("gone", false));
  const { deps } = world();
  const { ask } = world({ queue: { ...deps.queue, stats: down, list: down, recent: down } });
  const response = await ask("/");
  assert.equal(response.status, 200);
  assert.match(words(await response.text()), /The store cannot be reached/);
});

Deno.test("hostile text in the queue is shown as text", async () => {
  const { deps } = world();
  const hostile = message({
    sender: HOSTILE,
    recipients: [recipient({ address: HOSTILE, lastText: HOSTILE, queue: HOSTILE })],
  });
  const event = { time: HOSTILE, name: HOSTILE, recipient: HOSTILE, text: HOSTILE };
  const { ask } = world({
    hostname: HOSTILE,
    queue: {
      ...deps.queue,
      list: () => Promise.resolve([hostile]),
      show: () => Promise.resolve({ message: hostile, events: [event] }),
      recent: () => Promise.resolve([{ ...event, message: HOSTILE, sender: HOSTILE }]),
    },
    mailboxes: oneMail("", { subject: HOSTILE, from: HOSTILE, to: HOSTILE, mailboxName: HOSTILE, id: HOSTILE }),
  });
  for (const path of ["/", "/messages/1a2b3c", "/mail"]) {
    const page = await (await ask(path)).text();
    assert.ok(page.includes(ESCAPED), path);
    assert.doesNotMatch(page, /<script>|<img src=x|onerror=alert\(1\)>/, path);
  }
});

Deno.test("hostile mail is shown as text, its HTML only in a frame without rights", async () => {
  const mail = `From: ${HOSTILE}\r\nSubject: =?utf-8?b?${new TextEncoder().encode(HOSTILE).toBase64()}?=\r\n` +
    `X-${"<b>"}: y\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n</pre>${HOSTILE}\r\n--b\r\n` +
    `Content-Type: text/html\r\n\r\n<script>alert(1)</script>\r\n--b\r\nContent-Type: a/b; name="${"<i>"}"\r\n\r\n\r\n--b--\r\n`;
  const { ask } = world({ mailboxes: oneMail(mail) });
  const response = await ask("/mail/Ym94/1.a");
  const page = await response.text();
  assert.ok(
    page.includes(`<pre class="text" tabindex="0" aria-label="Text of the message">&lt;/pre&gt;${ESCAPED}</pre>`),
  );
  assert.doesNotMatch(page, /<script>|<img src=x|<i>:|<b>/);
  assert.match(page, /<iframe\s+src="\/mail\/Ym94\/1\.a\/html"\s+sandbox\s/);

  const frame = await ask("/mail/Ym94/1.a/html");
  assert.equal(await frame.text(), "<script>alert(1)</script>");
  const policy = frame.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^sandbox; default-src 'none'/);
  assert.doesNotMatch(policy, /allow-|script-src|http/);
  assert.equal(frame.headers.get("x-frame-options"), "SAMEORIGIN");

  const source = await ask("/mail/Ym94/1.a/source");
  assert.equal(source.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.match(source.headers.get("content-security-policy") ?? "", /sandbox/);
  assert.equal(await source.text(), mail);
});

Deno.test("controls and writing directions in foreign text do not reach beyond it", async () => {
  const sender = "a\u202eb\x1b[2Jc\u0000d";
  const { ask } = world({}, [message({ sender })]);
  assert.ok((await (await ask("/")).text()).includes("<bdi>a\u202eb�[2Jc�d</bdi>"));
});

Deno.test("mail is there in development only, and only for those who may", async () => {
  const closed = world();
  for (const path of ["/mail", "/mail/Ym94/1.a", "/api/mail"]) assert.equal((await closed.ask(path)).status, 404, path);
  const open = world({ mailboxes: oneMail("Subject: Hello\r\n\r\nText") });
  const elsewhere = { remote: { ip: "192.0.2.7", port: 1 } };
  for (const path of ["/mail", "/mail/Ym94/1.a", "/api/mail"]) {
    assert.equal((await open.ask(path)).status, 200, path);
    assert.equal((await open.ask(path, {}, elsewhere)).status, 403, path);
  }
  assert.equal((await open.ask("/mail/Ym94/2.a")).status, 404);
  assert.match(words(await (await open.ask("/")).text()), /Delivered mail Hello box a@b\.example to c@d\.example/);
  const list = await (await open.ask("/api/mail")).json();
  assert.equal(list.messages[0].subject, "Hello");
  assert.equal((await (await open.ask("/api/mail/Ym94/1.a")).json()).text, "Text");
});

Deno.test("the forms of a message act and lead back", async () => {
  const { ask, asked } = world();
  const page = await (await ask("/messages/1a2b3c")).text();
  const forms = [...page.matchAll(/<form method="post" action="([^"]+)">/g)].map((match) => match[1] ?? "");
  assert.deepEqual(forms, ["/messages/1a2b3c/retry", "/messages/1a2b3c/hold", "/messages/1a2b3c/cancel"]);
  const headers = { origin: "http://127.0.0.1:8025" };
  const held = await ask("/messages/1a2b3c/hold", { method: "POST", headers });
  assert.equal(held.status, 303);
  assert.equal(held.headers.get("location"), "/messages/1a2b3c");
  const gone = await ask("/messages/1a2b3c/cancel", { method: "POST", headers });
  assert.equal(gone.headers.get("location"), "/");
  assert.deepEqual(asked, [
    "hold by loopback by HTTP from 127.0.0.1: 1a2b3c",
    "cancel by loopback by HTTP from 127.0.0.1: 1a2b3c",
  ]);
  assert.equal((await ask("/messages/1a2b3c/stats", { method: "POST", headers })).status, 404);
  const forged = await ask("/messages/1a2b3c/cancel", { method: "POST", headers: { origin: "https://evil.example" } });
  assert.equal(forged.status, 403);
  assert.equal(asked.length, 2);
});

Deno.test("a held message can be released", async () => {
  const { ask } = world({}, [message({ state: "held", recipients: [recipient({ state: "held", due: null })] })]);
  const page = await (await ask("/messages/1a2b3c")).text();
  assert.match(page, /action="\/messages\/1a2b3c\/release"/);
  assert.doesNotMatch(page, /action="\/messages\/1a2b3c\/(hold|retry)"/);
});

Deno.test("pages load nothing from elsewhere and hold no inline script or style", async () => {
  const { ask } = world({ mailboxes: oneMail("Subject: Hello\r\n\r\nText") });
  for (const path of ["/", "/messages/1a2b3c", "/mail", "/mail/Ym94/1.a"]) {
    const response = await ask(path);
    const page = await response.text();
    assert.doesNotMatch(page, /(?:src|href|action)="(?!\/|#)/, path);
    assert.doesNotMatch(page, /<style|<script>|\sstyle=|\son[a-z]+=/, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|http|\*/);
  }
  assert.doesNotMatch(STYLE + SCRIPT, /https?:|url\(|@import|innerHTML|eval/);
});

Deno.test("assets come with their types", async () => {
  const { ask } = world();
  for (
    const [path, type] of [
      ["/assets/style.css", "text/css; charset=utf-8"],
      ["/assets/script.js", "text/javascript; charset=utf-8"],
      ["/assets/icon.svg", "image/svg+xml"],
    ] as const
  ) {
    assert.equal((await ask(path)).headers.get("content-type"), type);
  }
});

Deno.test("the page carries the fingerprint that the status answers 304 to", async () => {
  const { ask } = world();
  const tag = /<body\s+data-tag="([0-9a-f]{24})"/.exec(await (await ask("/")).text())?.[1];
  assert.equal((await ask("/api/status", { headers: { "if-none-match": `"${tag}"` } })).status, 304);
});

Deno.test("times are told in one unit, to come and gone by", () => {
  const now = 1_000_000_000;
  assert.equal(relativeTime(now + 5 * 60_000, now), "in 5 min");
  assert.equal(relativeTime(now - 3 * 86_400_000, now), "3 d ago");
  assert.equal(relativeTime(now + 30_000, now), "in under a minute");
  assert.equal(relativeTime(now, now), "just now");
  assert.equal(relativeTime(now - 7_300_000, now), "2 h ago");
});

Deno.test("the page of a message shows what was said in the last failed attempt, made harmless", async () => {
  const dialogue = [
    { at: 12, from: "client", text: "RCPT TO:<bo@example.org>" },
    { at: 34, from: "server", text: `550 5.1.1 ${HOSTILE}\u0007` },
  ] as const;
  const { ask } = world({}, [message({ recipients: [recipient({ dialogue })] })]);
  const page = await (await ask("/messages/1a2b3c")).text();
  assert.match(words(page), /Last failed conversation 0\.012 C: RCPT TO:&lt;bo@example\.org&gt; 0\.034 S: 550 5\.1\.1/);
  assert.ok(page.includes(`550 5.1.1 ${ESCAPED}�`));
  assert.ok(!page.includes("<script>alert"));
  const without = await (await world().ask("/messages/1a2b3c")).text();
  assert.ok(!without.includes("Last failed conversation"));
});
