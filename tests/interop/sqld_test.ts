/** The queue on a real libSQL server, over both of its protocols. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { openStore, StatementError, type Store, StoreUnavailable } from "../../src/store/mod.ts";
import { makeCertificate } from "../support/certificates.ts";
import { type Sqld, startSqld } from "../support/sqld.ts";
import {
  deferred,
  delivered,
  eventLog,
  newMessage,
  openTestQueue,
  queueConfig,
  storeConfig,
  until,
} from "../support/store.ts";
import { quotaSuite } from "../unit/queue/quota_suite.ts";
import { queueSuite, type WithDatabase } from "../unit/queue/suite.ts";

const open = (server: Sqld, scheme = "http", emit = eventLog().emit, timeout = 5000) =>
  openStore(storeConfig(`${scheme}://127.0.0.1:${server.port}`, timeout), { emit, clock: systemClock });

for (const scheme of ["http", "ws"]) {
  const withDatabase: WithDatabase = async (body) => {
    await using server = await startSqld();
    const stores: Store[] = [];
    try {
      await body({
        async open() {
          const store = await open(server, scheme);
          stores.push(store);
          return store;
        },
      });
    } finally {
      for (const store of stores) await store.close();
    }
  };
  queueSuite(`sqld over ${scheme}`, withDatabase);
  quotaSuite(`sqld over ${scheme}`, withDatabase);

  Deno.test(`sqld over ${scheme}: a group that fails does not touch those that share its commit`, async () => {
    await using server = await startSqld();
    const store = await open(server, scheme);
    const insert = (id: number) =>
      store.write([{ sql: "INSERT INTO blobs VALUES (?, 0, ?)", args: [id, new Uint8Array(700_000).fill(id)] }]);
    const outcomes = await Promise.allSettled([insert(1), insert(2), insert(2), insert(3)]);
    assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    for (const sql of ["SELEC 1", "INSERT INTO nowhere VALUES (1)", "INSERT INTO blobs (nothing) VALUES (1)"]) {
      await assert.rejects(store.write([{ sql, args: [] }]), StatementError, sql);
    }
    const { rows } = await store.read("SELECT id, chunk FROM blobs ORDER BY id");
    assert.deepEqual(rows.map(([id, chunk]) => [id, chunk instanceof Uint8Array && chunk.length]), [
      [1, 700_000],
      [2, 700_000],
      [3, 700_000],
    ]);
    await store.close();
  });

  Deno.test(`sqld over ${scheme}: a server that goes away refuses mail, and service resumes when it is back`, async () => {
    await using server = await startSqld();
    const log = eventLog();
    const store = await open(server, scheme, log.emit, 2000);
    const queue = await openTestQueue(store, systemClock, { emit: log.emit });
    await queue.enqueue(newMessage(queue, ["kept@example.net"], { held: true }));
    await server.kill();
    await assert.rejects(queue.enqueue(newMessage(queue)), StoreUnavailable);
    await assert.rejects(queue.list(), StoreUnavailable);
    await server.restart();
    await queue.enqueue(newMessage(queue, ["later@example.net"]));
    const listed = await queue.list();
    assert.deepEqual(listed.map(({ recipients }) => recipients[0]?.address), ["kept@example.net", "later@example.net"]);
    assert.deepEqual([log.count("store.unavailable"), log.count("store.recovered")], [1, 1]);
    await queue.close();
    await store.close();
  });

  Deno.test(`sqld over ${scheme}: an outcome that could not be recorded is recorded later, without another attempt`, async () => {
    await using server = await startSqld();
    const store = await open(server, scheme, undefined, 2000);
    const log = eventLog();
    const queue = await openTestQueue(store, systemClock, { emit: log.emit });
    let attempts = 0;
    const down = Promise.withResolvers<void>();
    queue.start(async (job) => {
      attempts++;
      await server.kill();
      down.resolve();
      return delivered(job);
    });
    await queue.enqueue(newMessage(queue));
    await down.promise;
    await server.restart();
    await until(() => log.count("delivery.delivered") === 1, "the outcome recorded");
    assert.equal(attempts, 1);
    assert.deepEqual(await queue.list(), []);
    await queue.close();
    await store.close();
  });
}

Deno.test("sqld: a certificate that does not verify is refused unless the store says otherwise", async () => {
  await using server = await startSqld();
  const { cert, privateKey } = await makeCertificate({ names: ["localhost"] });
  // sqld speaks plain http here; what shows the certificate is a proxy in front of it.
  const proxy = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key: privateKey, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      return await fetch(`http://127.0.0.1:${server.port}${pathname}${search}`, {
        method: request.method,
        headers: request.headers,
        body: request.method === "GET" ? null : await request.arrayBuffer(),
      });
    },
  );
  for (const scheme of ["https", "libsql", "wss"]) {
    const config = storeConfig(`${scheme}://127.0.0.1:${proxy.addr.port}`);
    await assert.rejects(openStore(config, { emit: () => {}, clock: systemClock }), StoreUnavailable, scheme);
    const store = await openStore({ ...config, allowInvalidCerts: true }, { emit: () => {}, clock: systemClock });
    await store.write([{ sql: "INSERT OR REPLACE INTO blobs VALUES (1, 0, ?)", args: [new Uint8Array([1, 2, 3])] }]);
    assert.deepEqual((await store.read("SELECT chunk FROM blobs")).rows, [[new Uint8Array([1, 2, 3])]]);
    await store.close();
  }
  await proxy.shutdown();
});

Deno.test("sqld: of two nodes one is killed in mid-delivery, the other takes its work over", async () => {
  await using server = await startSqld();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("../unit/queue/stalling_node.ts", import.meta.url).pathname],
    env: { STORE_URL: `http://127.0.0.1:${server.port}`, LEASE: "1500" },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  let text = "";
  while (!text.includes("delivering 3")) text += (await output.next()).value ?? assert.fail(`node ended: ${text}`);
  child.kill("SIGKILL");
  await child.status;
  while (!(await output.next()).done);

  const store = await open(server);
  const log = eventLog();
  const queue = await openTestQueue(store, systemClock, { nodeId: "survivor", lease: 1500, emit: log.emit });
  const seen: string[] = [];
  queue.start((job) => {
    seen.push(...job.recipients.map(({ address }) => address));
    return Promise.resolve(delivered(job));
  });
  await until(() => log.count("delivery.delivered") === 3, "the takeover");
  assert.deepEqual(seen.sort(), ["u0@example.net", "u1@example.net", "u2@example.net"]);
  assert.equal(log.count("queue.lease-taken-over"), 3);
  await queue.close();
  await store.close();
});

Deno.test("sqld: two nodes that work at once deliver each message once and lose none", async () => {
  await using server = await startSqld();
  const config = queueConfig({ threads: { remote: 10 } });
  const seen = new Map<number, number>();
  const nodes = await Promise.all(["a", "b"].map(async (nodeId, index) => {
    const store = await open(server, index === 0 ? "http" : "ws");
    const queue = await openTestQueue(store, systemClock, { nodeId, config, memory: { messages: index * 20 } });
    queue.start((job) => {
      const count = (seen.get(job.message.id) ?? 0) + 1;
      seen.set(job.message.id, count);
      // Every third is put off once, so that both nodes meet it.
      return Promise.resolve(count === 1 && job.message.id % 3 === 0 ? soon(deferred(job)) : delivered(job));
    });
    return { store, queue };
  }));
  const sent = await Promise.all(nodes.flatMap(({ queue }) =>
    Array.from({ length: 50 }, async () => {
      const message = newMessage(queue);
      await queue.enqueue(message);
      return message.id;
    })
  ));
  const [first] = nodes;
  await until(async () => (await first?.queue.stats())?.recipients === 0, "an empty queue");
  assert.deepEqual([...seen.keys()].sort(), sent.sort());
  for (const [id, count] of seen) assert.equal(count, id % 3 === 0 ? 2 : 1);
  for (const { queue, store } of nodes) {
    await queue.close();
    await store.close();
  }
});

function soon(outcomes: ReturnType<typeof deferred>): ReturnType<typeof deferred> {
  return outcomes.map((outcome) => outcome.kind === "deferred" ? { ...outcome, retryAfter: 50 } : outcome);
}
