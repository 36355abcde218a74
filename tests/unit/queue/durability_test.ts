import assert from "node:assert/strict";
import Database from "libsql";
import { systemClock } from "../../../src/clock/mod.ts";
import { POLL, SELECT_DUE, SELECT_REST, SELECT_URGENT } from "../../../src/queue/claim.ts";
import { POSTPONE, RENEW } from "../../../src/queue/leases.ts";
import { SELECT_WINDOW } from "../../../src/queue/scout.ts";
import { contentOf, openQueueOffline, StoreUnavailable } from "../../../src/queue/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  delivered,
  eventLog,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  temporaryFolder,
  until,
} from "../../support/store.ts";

Deno.test("every message that was accepted before a kill -9 is there afterwards, whole", async () => {
  await using folder = await temporaryFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./accepting_node.ts", import.meta.url).pathname],
    env: { FOLDER: folder.path },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.split("\n").length > 300) {
      child.kill("SIGKILL");
      break;
    }
  }
  await child.status;
  const accepted = text.split("\n").slice(0, -1);
  assert.ok(accepted.length >= 299);

  const store = await openTemporaryStore(folder.path);
  const offline = openQueueOffline({ store, clock: systemClock });
  const found = new Map((await offline.list({ limit: 100_000 })).map((message) => [message.id, message]));
  for (const id of accepted) {
    const message = found.get(id);
    assert.equal(message?.recipients.length, 2, id);
    const content = await offline.content(id);
    assert.equal(content?.size, message?.size);
    assert.ok(new TextDecoder().decode(content?.head).startsWith(`X-Number: `));
  }
  const orphans = await store.read(
    "SELECT (SELECT count(*) FROM recipients WHERE message NOT IN (SELECT id FROM messages)), " +
      "(SELECT count(*) FROM messages WHERE id NOT IN (SELECT message FROM recipients))",
  );
  assert.deepEqual(orphans.rows, [[0, 0]]);
  await store.close();
});

Deno.test("while the database is locked mail is refused and nothing of it stays; afterwards it is taken", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { timeout: 30 });
  const queue = await openTestQueue(store, new FakeClock());
  const other = new Database(`${folder.path}/queue.db`);
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(queue.enqueue(newMessage(queue)), (error) => error instanceof StoreUnavailable && !error.full);
  other.exec("ROLLBACK");
  other.close();
  assert.deepEqual(await queue.list(), []);
  await queue.enqueue(newMessage(queue));
  assert.equal((await queue.list()).length, 1);
  await queue.close();
  await store.close();
});

Deno.test("rows that come with messages are written with them, or neither is", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const queue = await openTestQueue(store, new FakeClock());
  const rows = {
    statements: [{ sql: "INSERT INTO lookup_keys (key, value) VALUES (?, ?)", args: ["report", "1"] }],
    undo: [{ sql: "DELETE FROM lookup_keys WHERE key = ?", args: ["report"] }],
  };
  await queue.enqueue(newMessage(queue), [newMessage(queue)], rows);
  assert.equal((await queue.list()).length, 2);
  assert.deepEqual((await store.read("SELECT key FROM lookup_keys")).rows, [["report"]]);
  await assert.rejects(queue.enqueue(newMessage(queue), [newMessage(queue)], rows), StoreUnavailable);
  assert.equal((await queue.list()).length, 2);
  await queue.close();
  await store.close();
});

Deno.test("on a full disk mail is refused as such, and spilled content fails its writer", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const queue = await openTestQueue(store, new FakeClock());
  const pages = Number((await store.read("PRAGMA page_count")).rows[0]?.[0]);
  await store.read(`PRAGMA max_page_count=${pages + 4}`);
  const content = contentOf(new Uint8Array(200_000));
  await assert.rejects(
    queue.enqueue(newMessage(queue, ["bob@example.net"], { content })),
    (error) => error instanceof StoreUnavailable && error.full,
  );
  const writer = queue.contentWriter();
  for (let i = 0; i < 3; i++) await writer.write(new Uint8Array(900_000));
  await assert.rejects(writer.finish(), (error) => error instanceof StoreUnavailable && error.full);
  await store.read(`PRAGMA max_page_count=${pages + 4000}`);
  await queue.enqueue(newMessage(queue, ["bob@example.net"], { content }));
  assert.deepEqual((await store.read("SELECT count(*) FROM spills")).rows, [[0]]);
  await queue.close();
  await store.close();
});

Deno.test("an outcome is kept until the store takes it, without another attempt, and deliveries pause", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { timeout: 20 });
  const clock = new FakeClock();
  const log = eventLog();
  const queue = await openTestQueue(store, clock, { emit: log.emit });
  const other = new Database(`${folder.path}/queue.db`);
  let attempts = 0;
  let lock = true;
  queue.start((job) => {
    attempts++;
    if (lock) other.exec("BEGIN IMMEDIATE");
    lock = false;
    return Promise.resolve(delivered(job));
  });
  await queue.enqueue(newMessage(queue));
  for (let i = 0; i < 5; i++) {
    await clock.advance(1000);
    await store.read("SELECT 1");
  }
  assert.equal(log.count("delivery.delivered"), 0);
  other.exec("ROLLBACK");
  other.close();
  await until(async () => {
    await clock.advance(1000);
    return log.count("delivery.delivered") === 1;
  });
  assert.equal(attempts, 1);
  await queue.enqueue(newMessage(queue));
  await until(async () => {
    await clock.advance(1000);
    return log.count("delivery.delivered") === 2;
  });
  await queue.close();
  await store.close();
});

Deno.test("a stopped server's queue can be looked at and changed", async () => {
  await using folder = await temporaryFolder();
  const clock = new FakeClock();
  const first = await openTemporaryStore(folder.path);
  const queue = await openTestQueue(first, clock);
  await queue.enqueue(newMessage(queue, ["a@example.net"]));
  await queue.enqueue(newMessage(queue, ["b@example.net"]));
  await queue.close();
  await first.close();
  const store = await openTemporaryStore(folder.path);
  const offline = openQueueOffline({ store, clock });
  const [a, b] = await offline.list();
  assert.equal((await offline.hold({ ids: [a?.id ?? ""] })).recipients, 1);
  assert.equal((await offline.cancel({ ids: [b?.id ?? ""] })).recipients, 1);
  assert.equal((await offline.show(a?.id ?? ""))?.message.state, "held");
  assert.equal((await offline.show(b?.id ?? ""))?.message.state, "failed");
  const content = await offline.content(a?.id ?? "");
  assert.equal(new TextDecoder().decode(content?.head), "Subject: hello\r\n\r\nhello\r\n");
  await store.close();
});

Deno.test("claims and renewals find their rows by index", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const plan = async (sql: string, args: (string | number)[]) =>
    (await store.read(`EXPLAIN QUERY PLAN ${sql}`, args)).rows.map((row) => String(row[3]));
  const due = await plan(SELECT_DUE.replaceAll(/\?\d/g, "?"), ["remote", 0, 1, 10]);
  assert.deepEqual(due, ["SEARCH recipients USING COVERING INDEX recipients_due (queue=? AND state=? AND due<?)"]);
  const urgent = await plan(SELECT_URGENT.replaceAll(/\?\d/g, "?"), ["remote", 0, 1, 10]);
  assert.deepEqual(urgent, [
    "SCAN level VIRTUAL TABLE INDEX 1:",
    "SEARCH recipients USING COVERING INDEX recipients_urgent (queue=? AND state=? AND priority=? AND due<?)",
  ]);
  const poll = await plan(POLL.replaceAll(/\?\d/g, "?"), ["[]", 1]);
  const found = poll.filter((line) => line.includes("recipients"));
  assert.deepEqual(found, [
    ...Array(2).fill("SEARCH recipients USING COVERING INDEX recipients_due (queue=? AND state=?)"),
    "SEARCH recipients USING COVERING INDEX recipients_urgent (queue=? AND state=? AND priority=?)",
  ]);
  const range = [0, 0, 0, 10];
  assert.deepEqual(await plan(SELECT_WINDOW, ["remote", 1, ...range]), [
    "SEARCH r USING COVERING INDEX recipients_due (queue=? AND state=? AND (due,message,seq)>(?,?,?) AND due<?)",
    "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
  ]);
  const rest = await plan(SELECT_REST.replaceAll(/\?\d/g, "?"), [1, "remote", 0, 1, 10]);
  assert.deepEqual(rest, ["SEARCH recipients USING PRIMARY KEY (message=?)"]);
  const postpone = await plan(POSTPONE, ["[[1,0,5]]", 5]);
  assert.ok(postpone.some((line) => line.includes("PRIMARY KEY (message=? AND seq=?)")), `${postpone}`);
  const renew = await plan(RENEW.replace(/ RETURNING.*/, ""), [1, "[[1,0]]", 5]);
  assert.ok(
    renew.some((line) => line.includes("SEARCH recipients USING PRIMARY KEY (message=? AND seq=?)")),
    `${renew}`,
  );
  assert.ok(!renew.some((line) => line.startsWith("SCAN recipients")), `${renew}`);
  await store.close();
});
