/** Messages that scripts have changed, read by Python's email package: the parts are where they should be. */

import assert from "node:assert/strict";
import { compileScript, messageBytes, rejectionNotice, runScript, sieveMessage } from "../../src/sieve/mod.ts";
import { run } from "./server.ts";

const MESSAGE = `From: Ann <ann@example.org>
To: bob@example.net
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Hello, grüße.
--b
Content-Type: text/html

<p>Some <b>marked</b> &amp; text</p>
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="offer.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b
Content-Type: message/rfc822

From: frank@example.org
Subject: inner

Deep down.
--b--
`;

/** Prints depth, type, subject, text and what is wrong with each part, as JSON. */
const READER = `
import email, email.policy, json, sys
def show(part, depth):
    leaf = not part.is_multipart()
    text = part.get_content().replace("\\r\\n", "\\n") if leaf else None
    yield [depth, part.get_content_type(), part.get("subject"), text, [type(d).__name__ for d in part.defects]]
    if not leaf:
        for inner in part.get_payload():
            yield from show(inner, depth + 1)
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps(list(show(message, 0))))
`;

async function readBack(source: string): Promise<unknown> {
  const { script, problems } = compileScript(source);
  assert.ok(script, problems[0]?.message ?? "");
  const bytes = new TextEncoder().encode(MESSAGE.replaceAll("\n", "\r\n"));
  const outcome = await runScript(script, {
    message: sieveMessage(bytes),
    envelope: { from: "ann@example.org", to: "bob@example.net" },
    host: { now: () => 0, addresses: ["bob@example.net"] },
  });
  assert.equal(outcome.error, undefined);
  return JSON.parse(
    await run("python3", ["-c", READER], new TextDecoder().decode(await messageBytes(outcome.message))),
  );
}

Deno.test("Python reads what replace, convert and enclose have made", async () => {
  const script = `require ["foreverypart", "mime", "replace", "enclose", "convert"];
    foreverypart {
      if header :mime :contenttype "content-type" "application/pdf" { replace "Grüße statt Anhang"; }
      if header :mime :contenttype "content-type" "text/html" { convert "text/html" "text/plain" "charset=utf-8"; }
    }
    enclose :subject "Für später" :headers ["To", "Message-ID"] "See below.";`;
  assert.deepEqual(await readBack(script), [
    [0, "multipart/mixed", "Für später", null, []],
    [1, "text/plain", null, "See below.", []],
    [1, "message/rfc822", null, null, []],
    [2, "multipart/mixed", "Grüße", null, []],
    [3, "text/plain", null, "Hello, grüße.", []],
    [3, "text/plain", null, " Some  marked  & text ", []],
    [3, "text/plain", null, "Grüße statt Anhang", []],
    [3, "message/rfc822", null, null, []],
    [4, "text/plain", "inner", "Deep down.", []],
  ]);
});

Deno.test("Python reads a message whose content was replaced as a whole", async () => {
  const script = `require "replace";
    replace :subject "Ersetzt für alle" :from "Bob <bob@example.net>" "Zeile 1\n--b--\nZeile 2: ü";`;
  assert.deepEqual(await readBack(script), [
    [0, "text/plain", "Ersetzt für alle", "Zeile 1\n--b--\nZeile 2: ü\n", []],
  ]);
});

/** Prints the parameters of the type, the notification and what it is about, as JSON. */
const NOTICE_READER = `
import email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
text, notification, original = message.get_payload()
[fields] = notification.get_payload()
print(json.dumps([message.get_content_type(), message.get_param("report-type"), message["subject"],
  text.get_content().replace("\\r\\n", "\\n").splitlines()[-1], notification.get_content_type(),
  {name.lower(): str(value) for name, value in fields.items()},
  original.get_content_type(), original.get_payload()[0]["subject"],
  [type(d).__name__ for part in message.walk() for d in part.defects]]))
`;

Deno.test("Python reads the news of a refusal", async () => {
  const bytes = new TextEncoder().encode(MESSAGE.replaceAll("\n", "\r\n"));
  const { from, to, bytes: notice } = rejectionNotice({
    reason: "Wirklich nicht, grüßt Bob.",
    sender: "ann@example.org",
    recipient: "bob@example.net",
    originalRecipient: "rfc822;team@example.net",
    header: sieveMessage(bytes).header,
    returned: bytes,
    whole: true,
    now: 0,
    zoneOffset: 0,
    messageId: "2@example.net",
    hostname: "mx.example.net",
  });
  assert.deepEqual([from, to], ["", ["ann@example.org"]]);
  assert.deepEqual(JSON.parse(await run("python3", ["-c", NOTICE_READER], new TextDecoder().decode(notice))), [
    "multipart/report",
    "disposition-notification",
    "Rejected: Grüße",
    "Wirklich nicht, grüßt Bob.",
    "message/disposition-notification",
    {
      "reporting-ua": "mx.example.net; godwit",
      "original-recipient": "rfc822;team@example.net",
      "final-recipient": "rfc822; bob@example.net",
      "original-message-id": "<1@example.org>",
      "disposition": "automatic-action/MDN-sent-automatically; deleted",
    },
    "message/rfc822",
    "Grüße",
    [],
  ]);
});
