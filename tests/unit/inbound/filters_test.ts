/** Filters in a real session: their order at each stage, and what becomes of their verdicts. */

import assert from "node:assert/strict";
import type { FilterAnswer, FilterKind, Modification, Stage, Verdict } from "../../../src/filter/mod.ts";
import { reply } from "../../../src/smtp/mod.ts";
import { dialogue, greeted, openSession, sendMessage, sessionWorld, type WorldOptions } from "../../support/session.ts";
import { type Asked, at, fakeFilter } from "../filter/fakes.ts";

const QUICK = `session.rcpt.errors = { wait = "0s" }`;

function world(
  answers: Partial<Record<FilterKind, (stage: Stage) => FilterAnswer | undefined>>,
  log: Asked[] = [],
  more: WorldOptions = {},
) {
  const kinds: FilterKind[] = ["hook", "script", "milter"];
  return sessionWorld({ settings: QUICK, ...more, filters: kinds.map((kind) => fakeFilter(kind, log, answers[kind])) });
}

const no = (code: number): Verdict => ({
  kind: "reply",
  reply: reply(code, code < 500 ? "4.7.1" : "5.7.1", "By filter"),
});

Deno.test("every stage asks milter, script and hook in that order", async () => {
  const log: Asked[] = [];
  const client = await greeted(world({}, log));
  assert.match(await sendMessage(client), /^250 2\.0\.0 Message queued/);
  const order = ["milter", "script", "hook"];
  const stages: Stage[] = ["connect", "ehlo", "mail", "rcpt", "data"];
  assert.deepEqual(log.map(({ stage, filter }) => [stage, filter]), stages.flatMap((s) => order.map((f) => [s, f])));
});

Deno.test("a refusal at connect is the greeting, and the session ends", async () => {
  const client = openSession(world({ milter: at("connect", no(554)) }));
  assert.equal(await client.reply(), "554 5.7.1 By filter");
  await client.ended;
});

Deno.test("a refusal at EHLO leaves the client without a name, and it may try again", async () => {
  let refuse = true;
  const client = openSession(world({ script: (stage) => refuse ? at("ehlo", no(550))(stage) : undefined }));
  await client.reply();
  await dialogue(client, ["EHLO bad.example", "550 5.7.1 By filter"], ["MAIL FROM:<a@example.net>", "503 5.5.1"]);
  refuse = false;
  await dialogue(client, ["EHLO good.example", "250"], ["MAIL FROM:<a@example.net>", "250 2.1.0"]);
});

Deno.test("a refusal at MAIL opens no transaction", async () => {
  const client = await greeted(world({ hook: at("mail", no(451)) }));
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net>", "451 4.7.1 By filter"],
    ["RCPT TO:<ana@example.org>", "503 5.5.1 Send MAIL first"],
  );
});

Deno.test("a recipient that one filter refuses stays refused, and no later filter is asked for it", async () => {
  const log: Asked[] = [];
  const script = (stage: Stage): FilterAnswer | undefined =>
    stage === "rcpt" && log.at(-1)?.transaction?.recipient?.address === "bob@example.org"
      ? { verdict: no(550) }
      : undefined;
  const test = world({ script }, log);
  const client = await greeted(test);
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<bob@example.org>", "550 5.7.1 By filter"],
    ["RCPT TO:<ana@example.org>", "250"],
    ["DATA", "354"],
  );
  client.send("A: b\r\n\r\nc\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.deepEqual(test.queue.messages[0]?.recipients.map(({ address }) => address), ["ana@example.org"]);
  assert.equal(log.filter(({ filter, stage }) => filter === "hook" && stage === "rcpt").length, 1);
});

Deno.test("a filter may refuse the session as a whole", async () => {
  const hangUp: Verdict = { kind: "reply", reply: reply(421, "4.7.0", "Go away"), disconnect: true };
  const client = await greeted(world({ milter: at("rcpt", hangUp) }));
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "421 4.7.0 Go away"]);
  await client.ended;
});

for (const stage of ["connect", "ehlo", "mail", "rcpt", "data"] as const) {
  Deno.test(`a discard at ${stage} answers success, queues nothing and asks nobody any more`, async () => {
    const log: Asked[] = [];
    const test = world({ script: at(stage, { kind: "discard" }) }, log);
    const client = await greeted(test);
    assert.match(await sendMessage(client), /^250 2\.0\.0 Message queued with id /);
    assert.deepEqual(test.queue.messages, []);
    assert.equal(test.queue.pending, 0);
    assert.equal(test.events.some(({ name }) => name === "smtp.message-discarded"), true);
    assert.deepEqual(log.at(-1), log.findLast(({ filter }) => filter === "script"));
    assert.equal(log.at(-1)?.stage, stage);
  });

  Deno.test(`a quarantine at ${stage} queues the message on hold`, async () => {
    const test = world({ milter: at(stage, { kind: "quarantine" }) });
    const client = await greeted(test);
    assert.match(await sendMessage(client), /^250 /);
    assert.equal(test.queue.messages[0]?.held, true);
  });
}

Deno.test("a discard at MAIL holds for that message only, one at EHLO for the session", async () => {
  for (const [stage, queued] of [["mail", 1], ["ehlo", 0]] as const) {
    let first = true;
    const once = (asked: Stage): FilterAnswer | undefined => {
      if (asked !== stage || !first) return undefined;
      first = false;
      return { verdict: { kind: "discard" } };
    };
    const test = world({ hook: once });
    const client = await greeted(test);
    await sendMessage(client);
    await sendMessage(client);
    assert.equal(test.queue.messages.length, queued);
  }
});

Deno.test("a refusal at data is the answer to the message, for each recipient of LMTP", async () => {
  const test = world({ hook: at("data", no(550)) });
  const client = await greeted(test, { protocol: "lmtp" });
  assert.equal(await sendMessage(client, { to: ["ana@example.org", "bob@example.org"] }), "550 5.7.1 By filter");
  assert.equal(await client.reply(), "550 5.7.1 By filter");
  assert.equal(test.queue.pending, 0);
});

Deno.test("changes of the envelope reach the next filter, the variables and the queue", async () => {
  const log: Asked[] = [];
  const changes: Record<string, Modification[]> = {
    mail: [{ kind: "sender", address: "new@example.com" }],
    rcpt: [{ kind: "recipient", address: "else@elsewhere.example" }],
    data: [{ kind: "add-recipient", address: "more@example.org" }],
  };
  const milter = (stage: Stage): FilterAnswer => ({ verdict: { kind: "accept" }, modifications: changes[stage] ?? [] });
  const test = world({ milter }, log, {
    settings: `${QUICK}
session.data.add-headers.received = "sender == 'new@example.com' && rcpt == 'else@elsewhere.example'"`,
  });
  const client = await greeted(test);
  assert.match(await sendMessage(client), /^250 /);
  const [message] = test.queue.messages;
  assert.equal(message?.envelope.sender, "new@example.com");
  assert.deepEqual(message?.recipients.map(({ address }) => address), ["else@elsewhere.example", "more@example.org"]);
  const hook = (stage: Stage) => log.find((asked) => asked.filter === "hook" && asked.stage === stage)?.transaction;
  assert.equal(hook("mail")?.sender, "new@example.com");
  assert.equal(hook("rcpt")?.recipient?.address, "else@elsewhere.example");
  assert.equal(hook("data")?.recipients.length, 2);
  assert.match(test.queue.text(0), /^Received: /);
});

Deno.test("changes of the message reach the queue under our own trace fields", async () => {
  const log: Asked[] = [];
  const test = world({
    milter: at("data", { kind: "accept" }, { kind: "add-field", name: "X-Spam", value: "no" }),
    script: at("data", { kind: "accept" }, { kind: "replace-body", body: new TextEncoder().encode("other\n") }),
  }, log);
  const client = await greeted(test);
  assert.match(await sendMessage(client, { content: "Subject: x\r\n\r\nbody\r\n" }), /^250 /);
  assert.match(test.queue.text(0), /^Received: from [^]*\r\nSubject: x\r\nX-Spam: no\r\n\r\nother\r\n$/);
  const shown = log.at(-1)?.transaction?.message;
  assert.match(new TextDecoder().decode(shown?.serverFields[0]), /^Received: from client\.example\.net /);
  assert.equal(shown?.id, /id (\w+)/.exec(test.queue.text(0))?.[1]);
});

Deno.test("a message that filters have left without recipients is dropped with success", async () => {
  const test = world({
    milter: at("data", { kind: "accept" }, { kind: "delete-recipient", address: "ana@example.org" }),
  });
  assert.match(await sendMessage(await greeted(test)), /^250 /);
  assert.deepEqual(test.queue.messages, []);
  assert.equal(test.queue.pending, 0);
});

Deno.test("a filter that throws costs its command with 451, not the session", async () => {
  const test = world({
    script: (stage) => {
      if (stage === "data") throw new Error("broken");
      return undefined;
    },
  });
  const client = await greeted(test);
  assert.match(await sendMessage(client), /^451 4\.3\.0 /);
  assert.equal(test.queue.pending, 0);
  assert.match(await client.say("NOOP"), /^250 /);
  assert.equal(test.events.some(({ name }) => name === "smtp.filter-error"), true);
});
