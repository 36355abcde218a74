import assert from "node:assert/strict";
import {
  createFilterChain,
  type Filter,
  type FilterAnswer,
  type FilteredSession,
  type FilteredTransaction,
} from "../../../src/filter/mod.ts";
import { memoryEditable } from "../../../src/filter/modify.ts";
import { reply } from "../../../src/smtp/mod.ts";
import { ACCEPT, type Asked, at, fakeFilter } from "./fakes.ts";

const clientAt = (ip: string) => ({ remote: { ip, port: 4711 } }) as FilteredSession;
const session = clientAt("192.0.2.7");
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array | undefined) => new TextDecoder().decode(octets);

function transaction(more: Partial<FilteredTransaction> = {}): FilteredTransaction {
  return { sender: "a@example.net", parameters: {}, recipients: [], ...more };
}

function message(content: string): Pick<FilteredTransaction, "message"> {
  return { message: { id: "1", content: memoryEditable(bytes(content)), serverFields: [] } };
}

function run(filters: Parameters<typeof createFilterChain>[0], troubles: string[] = []) {
  const chain = createFilterChain(filters);
  assert.ok(chain);
  return chain.open(session, (filter, problem) => troubles.push(`${filter.id}: ${problem}`));
}

Deno.test("without filters there is no chain to ask", () => {
  assert.equal(createFilterChain([]), undefined);
});

Deno.test("milters come first, then the script, then hooks, those of a kind as configured", async () => {
  const log: Asked[] = [];
  const filters = [
    fakeFilter("hook", log, undefined, { id: "hook 1" }),
    fakeFilter("script", log),
    fakeFilter("milter", log, undefined, { id: "milter 1" }),
    fakeFilter("hook", log, undefined, { id: "hook 2" }),
    fakeFilter("milter", log, undefined, { id: "milter 2" }),
  ];
  await run(filters).judge("data", transaction());
  assert.deepEqual(log.map(({ filter }) => filter), ["milter 1", "milter 2", "script", "hook 1", "hook 2"]);
});

Deno.test("a filter is asked at its stages only, and only while it is enabled", async () => {
  const log: Asked[] = [];
  const one = run([
    fakeFilter("milter", log, undefined, { stages: ["rcpt"] }),
    fakeFilter("hook", log, undefined, { enabled: false }),
  ]);
  assert.equal(one.has("rcpt"), true);
  await one.judge("mail", transaction());
  await one.judge("rcpt", transaction());
  assert.deepEqual(log.map(({ filter, stage }) => [filter, stage]), [["milter", "rcpt"]]);
  const data = createFilterChain([fakeFilter("milter", log, undefined, { stages: ["data"] })]);
  assert.equal(data?.has("rcpt"), false);
});

for (const verdict of [{ kind: "reply", reply: reply(550, "5.7.1", "No") }, { kind: "discard" }] as const) {
  Deno.test(`after ${verdict.kind} no other filter is asked, and its changes do not count`, async () => {
    const log: Asked[] = [];
    const outcome = await run([
      fakeFilter("milter", log, at("mail", verdict, { kind: "sender", address: "other@example.net" })),
      fakeFilter("hook", log),
    ]).judge("mail", transaction());
    assert.deepEqual(outcome.verdict, verdict);
    assert.equal(outcome.filter, "milter");
    assert.equal(outcome.transaction?.sender, "a@example.net");
    assert.deepEqual(log.map(({ filter }) => filter), ["milter"]);
  });
}

Deno.test("quarantine lasts although the filters behind it accept, and they may still refuse", async () => {
  const hold = at("data", { kind: "quarantine" });
  assert.equal(
    (await run([fakeFilter("milter", [], hold), fakeFilter("hook", [])]).judge("data")).verdict.kind,
    "quarantine",
  );
  const refusal = at("data", { kind: "reply", reply: reply(550, "5.7.1", "No") });
  const refused = await run([fakeFilter("milter", [], hold), fakeFilter("hook", [], refusal)]).judge("data");
  assert.equal(refused.verdict.kind, "reply");
});

Deno.test("each filter sees the envelope as the one before has left it", async () => {
  const log: Asked[] = [];
  const outcome = await run([
    fakeFilter(
      "milter",
      log,
      at(
        "data",
        { kind: "accept" },
        { kind: "sender", address: "b@EXAMPLE.net" },
        { kind: "add-recipient", address: "new@example.org" },
        { kind: "delete-recipient", address: "old@example.org" },
      ),
    ),
    fakeFilter("script", log, at("data", { kind: "accept" }, { kind: "sender", address: "" })),
    fakeFilter("hook", log),
  ]).judge("data", transaction({ recipients: [{ address: "old@example.org", parameters: {} }] }));
  assert.deepEqual(log.map(({ transaction }) => transaction?.sender), ["a@example.net", "b@example.net", ""]);
  assert.deepEqual(outcome.transaction?.recipients, [{ address: "new@example.org", parameters: {} }]);
});

Deno.test("each filter sees the message as the one before has left it", async () => {
  const log: Asked[] = [];
  const outcome = await run([
    fakeFilter(
      "milter",
      log,
      at(
        "data",
        { kind: "accept" },
        { kind: "add-field", name: "X-Last", value: "z" },
        { kind: "add-field", name: "X-First", value: "a", index: 0 },
        { kind: "change-field", name: "subject", nth: 0, value: "new" },
        { kind: "change-field", name: "X-Gone", nth: -1 },
      ),
    ),
    fakeFilter("hook", log, at("data", { kind: "accept" }, { kind: "replace-body", body: bytes("one\ntwo\r\n") })),
  ]).judge("data", transaction(message("Subject: old\r\nX-Gone: 1\r\nTo: x\r\n\r\nbody\r\n")));
  const seen = "X-First: a\r\nsubject: new\r\nTo: x\r\nX-Last: z\r\n\r\n";
  assert.equal(text(log[1]?.transaction?.message?.content.head), `${seen}body\r\n`);
  assert.equal(text(outcome.transaction?.message?.content.head), `${seen}one\r\ntwo\r\n`);
});

Deno.test("a whole message can be replaced, and no bare line feed comes in that way", async () => {
  const replace = at("data", { kind: "accept" }, { kind: "replace-message", bytes: bytes("A: b\n\nc\n.\n") });
  const outcome = await run([fakeFilter("script", [], replace)]).judge(
    "data",
    transaction(message("X: y\r\n\r\nz\r\n")),
  );
  assert.equal(text(outcome.transaction?.message?.content.head), "A: b\r\n\r\nc\r\n.\r\n");
});

Deno.test("at stage rcpt the recipient under question can be replaced", async () => {
  const log: Asked[] = [];
  const recipient = { address: "x@example.org", parameters: { orcpt: { type: "rfc822", address: "x@example.org" } } };
  const outcome = await run([
    fakeFilter("script", log, at("rcpt", { kind: "accept" }, { kind: "recipient", address: "y@example.org" })),
    fakeFilter("hook", log),
  ]).judge("rcpt", transaction({ recipient }));
  assert.deepEqual(outcome.transaction?.recipient, { ...recipient, address: "y@example.org" });
  assert.equal(log[1]?.transaction?.recipient?.address, "y@example.org");
});

Deno.test("what makes no sense is left out and told", async () => {
  const troubles: string[] = [];
  const outcome = await run([
    fakeFilter(
      "milter",
      [],
      at(
        "mail",
        { kind: "accept" },
        { kind: "sender", address: "no address" },
        { kind: "add-recipient", address: "a@b\r\nRCPT TO:<evil@example.net>" },
        { kind: "add-field", name: "X", value: "y" },
      ),
    ),
  ], troubles).judge("mail", transaction());
  assert.deepEqual(outcome.transaction, transaction());
  assert.equal(troubles.length, 3);
  assert.match(troubles[0] ?? "", /^milter: not an address: "no address"$/);
});

Deno.test("a field name or value cannot smuggle another field in", async () => {
  const outcome = await run([
    fakeFilter(
      "milter",
      [],
      at(
        "data",
        { kind: "accept" },
        { kind: "add-field", name: "X: y\r\nEvil", value: "1" },
        { kind: "add-field", name: "X", value: "y\r\nEvil: 1" },
      ),
    ),
  ]).judge("data", transaction(message("A: b\r\n\r\n")));
  assert.equal(text(outcome.transaction?.message?.content.head), "A: b\r\nX: y Evil: 1\r\n\r\n");
});

Deno.test("an exception costs the command with 451, and the filters behind are not asked", async () => {
  const troubles: string[] = [];
  const log: Asked[] = [];
  const broken = fakeFilter("milter", [], () => {
    throw new Error("out of order");
  });
  const outcome = await run([broken, fakeFilter("hook", log)], troubles).judge("data", transaction());
  assert.equal(outcome.verdict.kind === "reply" && outcome.verdict.reply.code, 451);
  assert.deepEqual(troubles, ["milter: out of order"]);
  assert.deepEqual(log, []);
});

Deno.test("refused recipients are told at stage rcpt, unknown commands to filters that know the session", async () => {
  const told: string[] = [];
  const filter = (id: string, stage: "rcpt" | "data", answer: FilterAnswer): Filter => ({
    id,
    kind: "milter",
    stages: new Set([stage]),
    open: () => ({
      judge: () => Promise.resolve(ACCEPT),
      unknown: () => {
        told.push(`${id} unknown`);
        return Promise.resolve(answer);
      },
      refused: () => {
        told.push(`${id} refused`);
        return Promise.resolve(answer);
      },
    }),
  });
  const refusal = reply(550, "5.1.1", "Nobody");
  const no: FilterAnswer = { verdict: { kind: "reply", reply: reply(502, "5.7.0", "No") } };
  const one = run([filter("a", "rcpt", no), filter("b", "data", no), filter("c", "rcpt", ACCEPT)]);
  await one.unknown(bytes("X"));
  assert.deepEqual(told, []);
  const given = transaction({ recipient: { address: "b@example.net", parameters: {} } });
  // A refusal changes nothing there, so the next filter is told.
  assert.deepEqual(await one.refused(given, refusal), { verdict: { kind: "accept" }, filter: "" });
  assert.deepEqual(told.splice(0), ["a refused", "c refused"]);
  assert.deepEqual(await one.unknown(bytes("X")), { ...no, filter: "a" });
  assert.deepEqual(told.splice(0), ["a unknown"]);
  const ending: FilterAnswer = { verdict: { kind: "reply", reply: reply(421, "4.7.0", "Bye"), disconnect: true } };
  const two = run([filter("a", "rcpt", ending), filter("c", "rcpt", ACCEPT)]);
  assert.deepEqual(await two.refused(given, refusal), { ...ending, filter: "a" });
  const troubles: string[] = [];
  const broken = run([{
    ...filter("a", "rcpt", ACCEPT),
    open: () => ({ judge: () => Promise.resolve(ACCEPT), refused: () => Promise.reject(new Error("out of order")) }),
  }], troubles);
  assert.deepEqual((await broken.refused(given, refusal)).verdict, { kind: "accept" });
  assert.deepEqual(troubles, ["a: out of order"]);
});

Deno.test("a filter is told how many sessions a client has, also those that no filter has been asked about", async () => {
  const counted: number[] = [];
  const chain = createFilterChain([{
    id: "m",
    kind: "milter",
    stages: new Set(["ehlo"]),
    open: (_, connections) => ({
      judge: () => {
        counted.push(connections());
        return Promise.resolve({ verdict: { kind: "accept" } });
      },
    }),
  }])!;
  const [first, second, third, other] = ["192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.8"].map((ip) =>
    chain.open(clientAt(ip), () => {})
  );
  await first!.judge("ehlo");
  await other!.judge("ehlo");
  second!.close();
  await first!.judge("ehlo");
  third!.close();
  await first!.judge("ehlo");
  assert.deepEqual(counted, [3, 1, 2, 1]);
});

Deno.test("a filter is opened once in a session, when it is first asked, and told of resets and the end", async () => {
  const calls: string[] = [];
  const one = run([{
    id: "m",
    kind: "milter",
    stages: new Set(["mail", "rcpt"]),
    open: () => {
      calls.push("open");
      return {
        judge: (stage) => {
          calls.push(stage);
          return Promise.resolve({ verdict: { kind: "accept" } });
        },
        reset: () => void calls.push("reset"),
        close: () => void calls.push("close"),
      };
    },
  }]);
  one.reset();
  await one.judge("mail", transaction());
  await one.judge("rcpt", transaction());
  one.reset();
  one.close();
  assert.deepEqual(calls, ["open", "mail", "rcpt", "reset", "close"]);
});
