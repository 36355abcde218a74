/** The news of a refusal, as it is queued (RFC 5429 §2.2, RFC 8098). */

import assert from "node:assert/strict";
import { constantSetting } from "../../../../src/expression/mod.ts";
import { newsOfRefusal } from "../../../../src/filter/sieve/rejection.ts";
import type { Sending } from "../../../../src/filter/sieve/outgoing.ts";
import { sieveMessage } from "../../../../src/sieve/mod.ts";
import type { MailParameters } from "../../../../src/smtp/mod.ts";
import { memoryQueue } from "../../../support/session.ts";

async function news(
  {
    sender = "ann@example.net",
    recipient = "bob@example.org",
    content = "Subject: x\r\n\r\nbody\r\n",
    parameters = {},
  }: {
    readonly sender?: string;
    readonly recipient?: string;
    readonly content?: string;
    readonly parameters?: MailParameters;
  },
) {
  const sending = {
    world: {
      outbox: memoryQueue(),
      emit: () => {},
      config: {
        returnPath: constantSetting("path", "x@y.example"),
        sign: constantSetting("sign", []),
        receivedHeaders: 50,
      },
    },
    scope: { variables: {} },
    owner: () => recipient,
    about: {},
    envelope: { sender, parameters, recipients: [recipient] },
    arrived: undefined,
    original: sieveMessage(new TextEncoder().encode(content)),
  } as unknown as Sending;
  const message = await newsOfRefusal(sending, "No.", {
    recipient,
    originalRecipient: undefined,
    hostname: "mx.example.org",
    host: { now: () => 0, messageId: () => "1@mx.example.org" },
  });
  return message && { ...message, text: new TextDecoder().decode(message.content.head) };
}

Deno.test("it goes to the return path, with none of its own, and nobody hears what becomes of it", async () => {
  const message = await news({});
  assert.deepEqual(message?.envelope, { sender: "", parameters: {} });
  assert.deepEqual(message.recipients, [{
    address: "ann@example.net",
    parameters: { notify: { never: true, success: false, failure: false, delay: false } },
  }]);
  assert.match(message.text, /\r\nContent-Type: message\/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n\r\n--/);
  assert.equal(await news({ sender: "" }), undefined);
});

Deno.test("of large and of binary messages the header is returned", async () => {
  const large = await news({ content: `Subject: x\r\n\r\n${"0123456789\r\n".repeat(30_000)}` });
  const binary = await news({ parameters: { body: "binarymime" } });
  for (const message of [large, binary]) {
    assert.match(message?.text ?? "", /\r\nContent-Type: text\/rfc822-headers\r\n\r\nSubject: x\r\n\r\n\r\n--/);
  }
});

Deno.test("what it needs of the next server is asked for", async () => {
  assert.deepEqual((await news({ content: "Subject: x\r\n\r\ngrün\r\n" }))?.envelope.parameters, { body: "8bitmime" });
  for (const address of [{ sender: "grün@example.net" }, { recipient: "grün@example.org" }]) {
    assert.deepEqual((await news(address))?.envelope.parameters, { body: "8bitmime", smtputf8: true });
  }
});
