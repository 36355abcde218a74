/** What quotas of a queue must do on any database; run on a file by the unit tests and on a server by the interop tests. */

import assert from "node:assert/strict";
import type { QueueConfig } from "../../../src/config/config.ts";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { NewMessage, Queue } from "../../../src/queue/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  computed,
  constant,
  deferred,
  delivered,
  eventLog,
  newMessage,
  openTestQueue,
  queueConfig,
  until,
} from "../../support/store.ts";
import type { WithDatabase } from "./suite.ts";

type QuotaConfig = QueueConfig["quotas"][number];

function quota(rest: Partial<QuotaConfig> = {}): QuotaConfig {
  const key = rest.key ?? [];
  return {
    id: "queue.quota[0]",
    counts: JSON.stringify([key, "true"]),
    messages: undefined,
    size: undefined,
    key,
    match: constant(true),
    ...rest,
  };
}

const open = (store: Store, quotas: readonly QuotaConfig[], rest: Parameters<typeof openTestQueue>[2] = {}) =>
  openTestQueue(store, new FakeClock(), { config: queueConfig({ quotas }), ...rest });

/** Messages and bytes of each count, largest first. */
export async function totals(store: Store): Promise<(readonly [number, number])[]> {
  const { rows } = await store.read("SELECT messages, size FROM quota_totals ORDER BY messages DESC, size DESC");
  return rows.map(([messages, size]) => [Number(messages), Number(size)]);
}

/** What the sums must be, worked out from what waits. */
export async function recounted(store: Store): Promise<(readonly [number, number])[]> {
  const { rows } = await store.read(
    "SELECT count(*), sum(size) FROM (SELECT DISTINCT u.quota, u.message, m.size FROM quota_uses u " +
      "JOIN recipients r ON r.message = u.message AND r.seq = u.seq JOIN messages m ON m.id = u.message) " +
      "GROUP BY quota ORDER BY 1 DESC, 2 DESC",
  );
  return rows.map(([messages, size]) => [Number(messages), Number(size)]);
}

const triggers = async (store: Store) =>
  (await store.read("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name = 'quota_release'")).rows.flat();

/** One message after the other; how many were queued. */
async function fill(queue: Queue, messages: readonly NewMessage[]): Promise<number> {
  let queued = 0;
  for (const message of messages) if (await queue.enqueue(message) === undefined) queued++;
  return queued;
}

const times = (count: number, make: () => NewMessage) => Array.from({ length: count }, make);

/** Registers the tests under `label`. */
export function quotaSuite(label: string, withDatabase: WithDatabase): void {
  const test = (name: string, body: (store: Store, open: () => Promise<Store>) => Promise<void>) =>
    Deno.test(`${label}: ${name}`, () => withDatabase(async (database) => body(await database.open(), database.open)));

  test("a quota of messages refuses one more, and takes it when one has left", async (store) => {
    const log = eventLog();
    const queue = await open(store, [quota({ messages: 2 })], { emit: log.emit });
    assert.equal(await fill(queue, times(2, () => newMessage(queue))), 2);
    const refused = newMessage(queue, ["bob@example.net", "eve@example.net"]);
    assert.deepEqual(await queue.enqueue(refused), { quotas: ["queue.quota[0]"], recipients: [0, 1] });
    assert.deepEqual(log.events.filter(({ name }) => name === "queue.quota-exceeded").map(({ fields }) => fields.to), [
      ["bob@example.net", "eve@example.net"],
    ]);
    assert.equal((await queue.list()).length, 2, "nothing of it is there");
    assert.deepEqual(await totals(store), await recounted(store));

    const [first] = await queue.list();
    assert.equal(await queue.cancel({ ids: [first?.id ?? ""] }), 1);
    assert.equal(await queue.enqueue(refused), undefined);
    assert.deepEqual((await totals(store)).map(([messages]) => messages), [2]);

    queue.start((job) => Promise.resolve(delivered(job)));
    await until(async () => (await queue.list()).length === 0);
    assert.deepEqual(await totals(store), []);
    await queue.close();
  });

  test("a quota of bytes counts whole messages", async (store) => {
    const queue = await open(store, [quota({ size: 60 })]);
    // newMessage makes 25 octets.
    assert.equal(await fill(queue, times(3, () => newMessage(queue))), 2);
    assert.deepEqual(await totals(store), [[2, 50]]);
    await queue.close();
  });

  test("each key has its count, kept until the last recipient with it has left", async (store) => {
    const queue = await open(store, [quota({ messages: 1, key: ["rcpt_domain"] })]);
    queue.start((job) =>
      Promise.resolve(job.recipients.some(({ address }) => address.startsWith("late")) ? deferred(job) : delivered(job))
    );
    await queue.enqueue(newMessage(queue, ["a@one.example", "b@ONE.example", "late@two.example", "c@two.example"]));
    // The recipients of two.example share a transaction, and both wait; those of one.example are gone.
    await until(async () => (await queue.list())[0]?.recipients.filter(({ attempts }) => attempts === 1).length === 2);
    assert.deepEqual((await totals(store)).map(([messages]) => messages), [1]);
    const refusal = await queue.enqueue(newMessage(queue, ["x@one.example", "y@two.example", "z@two.example"]));
    assert.deepEqual(refusal?.recipients, [1, 2]);
    assert.equal(await queue.enqueue(newMessage(queue, ["x@one.example"])), undefined);
    await queue.close();
  });

  test("a quota counts only what it matches", async (store) => {
    const match = computed((variables) => variables.source === "authenticated");
    const queue = await open(store, [quota({ messages: 1, match, key: ["sender"] })]);
    assert.equal(await fill(queue, times(2, () => newMessage(queue))), 2);
    assert.equal(await fill(queue, times(2, () => newMessage(queue, undefined, { source: "authenticated" }))), 1);
    await queue.close();
  });

  test("what the server itself has to tell is counted and never refused", async (store) => {
    const queue = await open(store, [quota({ messages: 1 })]);
    assert.equal(await fill(queue, times(3, () => newMessage(queue, undefined, { source: "dsn" }))), 3);
    assert.equal(await fill(queue, [newMessage(queue)]), 0);
    assert.deepEqual((await totals(store)).map(([messages]) => messages), [3]);
    await queue.close();
  });

  test("a quota that cannot be told refuses for now, with nothing left behind", async (store) => {
    const match = computed<boolean>(() => Promise.reject(new LookupUnavailable("the directory is away")));
    const queue = await open(store, [quota({ messages: 1, match })]);
    await assert.rejects(queue.enqueue(newMessage(queue)), LookupUnavailable);
    assert.equal(await queue.enqueue(newMessage(queue, undefined, { source: "dsn" })), undefined);
    assert.equal((await queue.list()).length, 1);
    await queue.close();
  });

  test("content of a message that was refused can be queued for other recipients", async (store) => {
    const queue = await open(store, [quota({ messages: 1, key: ["rcpt"] })]);
    await queue.enqueue(newMessage(queue, ["full@example.net"]));
    const writer = queue.contentWriter();
    for (let i = 0; i < 40; i++) await writer.write(new Uint8Array(65_536).fill(120));
    const content = await writer.finish();
    const message = newMessage(queue, ["full@example.net", "bob@example.net"], { content });
    assert.deepEqual((await queue.enqueue(message))?.recipients, [0]);
    assert.equal((await store.read("SELECT count(*) FROM spills")).rows[0]?.[0], 1, "kept for another try");
    assert.equal(await queue.enqueue({ ...message, recipients: message.recipients.slice(1) }), undefined);
    const [, waiting] = await queue.list();
    assert.equal((await queue.content(waiting?.id ?? ""))?.size, 40 * 65_536);
    assert.equal((await store.read("SELECT count(*) FROM spills")).rows[0]?.[0], 0);
    await queue.close();
  });

  test("two nodes together never exceed a quota", async (store, openAgain) => {
    const quotas = [quota({ messages: 10, key: ["rcpt_domain"] })];
    const nodes = [
      await open(store, quotas),
      await open(await openAgain(), quotas, { nodeId: "node-b" }),
    ];
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) => nodes[i % 2])
        .map((queue) => queue && queue.enqueue(newMessage(queue))),
    );
    assert.equal(results.filter((refusal) => refusal === undefined).length, 10);
    assert.deepEqual((await totals(store)).map(([messages]) => messages), [10]);
    assert.deepEqual(await totals(store), await recounted(store));
    for (const queue of nodes) await queue.close();
  });

  test("a quota that is new counts what was queued before, and a changed limit is in force at once", async (store) => {
    const clock = new FakeClock();
    const queue = await openTestQueue(store, clock);
    await fill(queue, times(700, () => newMessage(queue, ["a@one.example", "b@two.example"])));
    const keyed = quota({ key: ["rcpt_domain"], messages: 701 });
    queue.reconfigure(queueConfig({ quotas: [keyed] }));
    await until(async () => (await totals(store))[1]?.[0] === 700, "all that waits is counted");
    assert.deepEqual((await totals(store)).map(([messages]) => messages), [700, 700]);
    assert.equal(await fill(queue, times(3, () => newMessage(queue, ["a@one.example"]))), 1);
    queue.reconfigure(queueConfig({ quotas: [{ ...keyed, messages: 702 }] }));
    await until(async () => await queue.enqueue(newMessage(queue, ["a@one.example"])) === undefined, "room again");
    assert.deepEqual(await totals(store), await recounted(store));
    await queue.close();
  });

  test("without quotas nothing watches the recipients, also when there were some", async (store) => {
    const plain = await open(store, []);
    assert.deepEqual(await triggers(store), []);
    await plain.close();
    const counting = await open(store, [quota({ messages: 5 })]);
    await counting.enqueue(newMessage(counting));
    assert.deepEqual(await triggers(store), ["quota_release"]);
    await counting.close();
    const waiting = await open(store, []);
    assert.deepEqual(await triggers(store), ["quota_release"], "what was counted still waits");
    await waiting.cancel({});
    assert.deepEqual(await totals(store), []);
    await waiting.close();
    const after = await open(store, []);
    assert.deepEqual(await triggers(store), []);
    await after.close();
  });

  test("whether there is room is known before the content, if it can be", async (store) => {
    const small = computed((variables) => Number(variables.size) < 1000, "queue.quota[1].match");
    const queue = await open(store, [
      quota({ messages: 1, key: ["rcpt"] }),
      quota({ id: "queue.quota[1]", counts: "small", messages: 1, match: small }),
      quota({ id: "queue.quota[2]", counts: "bytes", size: 1000 }),
    ]);
    const arrival = (address: string, size = 0) => {
      const { envelope, source, priority, receivedFromIp, receivedViaPort } = newMessage(queue);
      const recipients = [{ address, parameters: {} }];
      return { envelope, recipients, source, priority, receivedFromIp, receivedViaPort, size };
    };
    assert.equal(await queue.hasRoom?.(arrival("bob@example.net")), true);
    await queue.enqueue(newMessage(queue));
    assert.equal(await queue.hasRoom?.(arrival("bob@example.net")), false);
    assert.equal(await queue.hasRoom?.(arrival("eve@example.net")), true, "its size is not known yet");
    assert.equal(await queue.hasRoom?.(arrival("eve@example.net", 2000)), false, "its size is announced");
    await queue.close();
    const without = await open(store, [], { nodeId: "node-b" });
    assert.equal(without.hasRoom, undefined);
    await without.close();
  });
}
