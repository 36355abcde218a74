/** Signing as a session does it: what is signed, in what form, and what happens when the store fails meanwhile. */

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { createSigner, evaluateDmarc, verifySignatures } from "../../../src/authentication/mod.ts";
import type { SignatureConfig } from "../../../src/config/config.ts";
import { LookupUnavailable, type Setting } from "../../../src/expression/mod.ts";
import type { Filter } from "../../../src/filter/mod.ts";
import type { InboundDependencies, MessageSigning } from "../../../src/inbound/mod.ts";
import { memoryContent, parseHeader } from "../../../src/message/mod.ts";
import {
  dialogue,
  greeted,
  type MemoryQueue,
  memoryQueue,
  sendMessage,
  type SessionWorld,
  sessionWorld,
} from "../../support/session.ts";
import { octets, publicKeyText, signingKey } from "../../support/signing_keys.ts";
import { computed, constant } from "../../support/store.ts";
import { createZone } from "../../support/zone.ts";
import { at, fakeFilter } from "../filter/fakes.ts";

const KEY = signingKey("ed25519-sha256", "e");
const CONTENT = "From: ana@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n";
const NOW = Date.parse("2026-01-05T12:00:00Z");

const SIGNATURE: SignatureConfig = {
  id: "e",
  privateKey: createPrivateKey(KEY.pem),
  domain: "example.org",
  selector: "e",
  algorithm: "ed25519-sha256",
  headers: ["From", "Subject", "Content-Type", "X-Filter"],
  canonicalization: { header: "simple", body: "simple" },
  expire: undefined,
  thirdParty: undefined,
  auid: undefined,
  setBodyLength: false,
  report: false,
};

interface Options {
  readonly sign?: Setting<readonly string[]>;
  readonly seal?: Setting<string | false>;
  readonly queue?: MemoryQueue;
  readonly filters?: readonly Filter[];
  readonly checks?: NonNullable<InboundDependencies["checks"]>;
}

/** A world in which every message is signed. */
function signingWorld(options: Options = {}): SessionWorld {
  const { sign = constant(["e"]), seal = constant(false), queue, filters, checks } = options;
  const world = sessionWorld({
    settings: "session.extensions.chunking = true",
    ...(checks === undefined ? {} : { checks }),
    ...(queue === undefined ? {} : { queue }),
    ...(filters === undefined ? {} : { filters }),
  });
  const signing: MessageSigning = {
    sign,
    seal,
    signer: createSigner(new Map([["e", SIGNATURE]]), { threads: 1, now: () => NOW, emit: world.deps.emit }),
    verifyChain: () => Promise.resolve(undefined),
  };
  const deps: InboundDependencies = { ...world.deps, signing };
  return { ...world, deps };
}

/** Results of the signatures of a queued message. */
async function results(text: string): Promise<readonly string[]> {
  const content = memoryContent(octets(text));
  const { dkim = [] } = await verifySignatures(
    { content, header: parseHeader(content.head) },
    { dkim: true, arc: false, strict: true },
    {
      resolver: createZone({ "e._domainkey.example.org": { txt: [publicKeyText(KEY)] } }),
      now: () => NOW,
      random: () => 0.5,
    },
  );
  return dkim.map(({ result }) => result);
}

for (const step of ["write", "finish", "enqueue"] as const) {
  Deno.test(`a store that fails at ${step} of what was rewritten gives 451 and keeps nothing of either form`, async () => {
    const queue = memoryQueue();
    const client = await greeted(signingWorld({
      queue,
      sign: computed(() => {
        // From here on the store is away: the message has arrived, and is about to be written anew.
        queue.failing = { step, full: false };
        return ["e"];
      }),
    }));
    assert.equal(await sendMessage(client, { content: CONTENT }), "451 4.3.0 Queue is unavailable, try again later");
    assert.deepEqual(queue.messages, []);
    assert.equal(queue.pending, 0);
  });
}

Deno.test("a quota that leaves no room for what was signed leaves nothing of it behind", async () => {
  const queue = memoryQueue();
  const refusing: MemoryQueue = Object.defineProperties({} as MemoryQueue, {
    ...Object.getOwnPropertyDescriptors(queue),
    enqueue: { value: () => Promise.resolve({ quotas: ["queue.quota[0]"], recipients: [0] }) },
  });
  const client = await greeted(signingWorld({ queue: refusing }));
  assert.match(await sendMessage(client, { content: CONTENT }), /^452 /);
  assert.equal(queue.pending, 0);
});

Deno.test("a setting that cannot be looked up puts the message off", async () => {
  const queue = memoryQueue();
  const sign = computed<readonly string[]>(() => {
    throw new LookupUnavailable("the list is away");
  });
  const client = await greeted(signingWorld({ queue, sign }));
  assert.match(await sendMessage(client), /^451 4\.3\.0 /);
  assert.equal(queue.pending, 0);
});

Deno.test("what filters make of a message is what is signed", async () => {
  const queue = memoryQueue();
  const filter = fakeFilter(
    "milter",
    [],
    at(
      "data",
      { kind: "accept" },
      { kind: "add-field", name: "X-Filter", value: "seen" },
      { kind: "replace-body", body: octets("another body\n") },
    ),
  );
  const client = await greeted(signingWorld({ queue, filters: [filter] }));
  assert.match(await sendMessage(client, { content: CONTENT }), /^250 /);
  assert.match(queue.text(0), /; h=From:From:Subject:Content-Type:X-Filter;/);
  assert.match(queue.text(0), /\r\nanother body\r\n$/);
  assert.deepEqual(await results(queue.text(0)), ["pass"]);
});

Deno.test("8 bits are rewritten, and the envelope no longer asks for 8BITMIME; with SMTPUTF8 they stay", async () => {
  const queue = memoryQueue();
  const client = await greeted(signingWorld({ queue }));
  for (const parameters of [" BODY=8BITMIME", " BODY=8BITMIME SMTPUTF8"]) {
    await dialogue(
      client,
      [`MAIL FROM:<a@example.net>${parameters}`, "250 "],
      ["RCPT TO:<ana@example.org>", "250 "],
      ["DATA", "354 "],
    );
    client.send(`${CONTENT}.\r\n`);
    assert.match(await client.reply(), /^250 /);
  }
  const [rewritten, international] = queue.messages;
  assert.equal(rewritten?.envelope.parameters.body, undefined);
  assert.match(queue.text(0), /quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/);
  assert.equal(international?.envelope.parameters.body, "8bitmime");
  assert.ok(queue.text(1).endsWith(CONTENT));
  assert.deepEqual([await results(queue.text(0)), await results(queue.text(1))], [["pass"], ["pass"]]);
});

Deno.test("a message that is sealed alone keeps its 8 bits, since others may have signed them", async () => {
  const queue = memoryQueue();
  const client = await greeted(signingWorld({ queue, sign: constant([]), seal: constant("e") }));
  assert.match(await sendMessage(client, { content: CONTENT }), /^250 /);
  assert.match(queue.text(0), /^ARC-Seal: i=1; [^]*\r\nARC-Authentication-Results: i=1; mx\.example\.org;\s+none\r\n/);
  assert.ok(queue.text(0).endsWith(CONTENT));
});

Deno.test("a seal tells how the chain arrived, whatever filters have made of the message", async () => {
  const queue = memoryQueue();
  const set = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.net; s=s; b=AA==\r\n" +
    "ARC-Message-Signature: i=1; a=rsa-sha256; d=example.net; s=s; h=from; bh=AA==; b=AA==\r\n" +
    "ARC-Authentication-Results: i=1; mx.example.net; none\r\n";
  const named = { domain: "example.net", selector: "s", oldestPass: 0, temporary: false } as const;
  const arc = { method: "arc", result: "pass", instance: 1, ...named } as const;
  const filter = fakeFilter(
    "milter",
    [],
    at("data", { kind: "accept" }, { kind: "replace-body", body: octets("x\n") }),
  );
  const checks = {
    context: { resolver: createZone({}), now: () => NOW, random: () => 0.5 },
    verifySignatures: () => Promise.resolve({ arc }),
    evaluateDmarc,
  };
  const world = signingWorld({ queue, sign: constant([]), seal: constant("e"), filters: [filter], checks });
  assert.match(await sendMessage(await greeted(world), { content: `${set}${CONTENT}` }), /^250 /);
  assert.match(queue.text(0), /^ARC-Seal: i=2; [^;]*; [^;]*; cv=pass;/m);
  assert.match(queue.text(0), /^ARC-Authentication-Results: i=2; [^]*?arc=pass \(i=1\)/m);
});
