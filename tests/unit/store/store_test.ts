import assert from "node:assert/strict";
import Database from "libsql";
import { systemClock } from "../../../src/clock/mod.ts";
import { openStore, SchemaTooNew, StatementError, type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, storeConfig, temporaryFolder, until } from "../../support/store.ts";

const NOTES = [{
  version: 1,
  statements: ["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, data BLOB)"],
}];
const INSERT = "INSERT INTO notes (id, text) VALUES (?, ?)";

async function withStore(
  body: (store: Store, folder: string) => Promise<void>,
  options: Parameters<typeof openTemporaryStore>[1] = {},
): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { migrations: NOTES, ...options });
  try {
    await body(store, folder.path);
  } finally {
    await store.close();
  }
}

async function texts(store: Store): Promise<unknown[]> {
  return (await store.read("SELECT text FROM notes ORDER BY id")).rows.map(([text]) => text);
}

Deno.test("a group is kept as a whole and found again after the store was closed", async () => {
  await using folder = await temporaryFolder();
  const first = await openTemporaryStore(folder.path, { migrations: NOTES });
  const results = await first.write([{ sql: INSERT, args: [1, "a"] }, { sql: INSERT, args: [2, "b"] }]);
  assert.deepEqual(results.map(({ changes }) => changes), [1, 1]);
  await first.close();
  const second = await openTemporaryStore(folder.path, { migrations: NOTES });
  assert.deepEqual(await texts(second), ["a", "b"]);
  await second.close();
});

Deno.test("a group with one statement that fails leaves nothing behind", () =>
  withStore(async (store) => {
    await assert.rejects(
      store.write([{ sql: INSERT, args: [1, "a"] }, { sql: INSERT, args: [1, "b"] }]),
      (error) => error instanceof StatementError && error.code.startsWith("SQLITE_CONSTRAINT"),
    );
    assert.deepEqual(await texts(store), []);
  }));

Deno.test("a group that breaks a constraint does not touch the groups that share its commit", () =>
  withStore(async (store) => {
    await store.write([{ sql: INSERT, args: [5, "first"] }]);
    const groups = Array.from({ length: 10 }, (_, id) => store.write([{ sql: INSERT, args: [id, `n${id}`] }]));
    const outcomes = await Promise.allSettled(groups);
    assert.deepEqual(outcomes.map(({ status }, id) => status === "fulfilled" ? id : -1), [
      0,
      1,
      2,
      3,
      4,
      -1,
      6,
      7,
      8,
      9,
    ]);
    assert.deepEqual(await texts(store), ["n0", "n1", "n2", "n3", "n4", "first", "n6", "n7", "n8", "n9"]);
  }));

Deno.test("statements that run together for many groups do what they would do one by one", () =>
  withStore(async (store) => {
    const insert = (id: number) => store.write([{ sql: INSERT, args: [id, `n${id}`], joint: true }]);
    const ids = Array.from({ length: 43 }, (_, id) => id);
    await Promise.all(ids.map(insert));
    assert.deepEqual(await texts(store), ids.map((id) => `n${id}`));
    const remove = (id: number) => store.write([{ sql: "DELETE FROM notes WHERE id = ?", args: [id], joint: true }]);
    const outcomes = await Promise.allSettled([...ids.slice(0, 30).map(remove), insert(42), insert(100)]);
    // Only the second insert of an id that is there already fails.
    assert.deepEqual(outcomes.flatMap(({ status }, index) => status === "rejected" ? [index] : []), [30]);
    assert.deepEqual(await texts(store), [...ids.slice(30).map((id) => `n${id}`), "n100"]);
  }));

Deno.test("a statement with RETURNING gives its rows", () =>
  withStore(async (store) => {
    const [one, two] = await store.write([
      { sql: `${INSERT} RETURNING id, text`, args: [7, "seven"] },
      { sql: INSERT, args: [8, "eight"] },
    ]);
    assert.deepEqual(one, { changes: 1, rows: [[7, "seven"]] });
    assert.deepEqual(two, { changes: 1, rows: [] });
  }));

Deno.test("a query names its columns", () =>
  withStore(async (store) => {
    const found = await store.read("SELECT ?1 AS a, ?2 AS b", ["x", null]);
    assert.deepEqual(found, { columns: ["a", "b"], rows: [["x", null]] });
  }));

Deno.test("blobs, text, whole and large numbers come back as they were", () =>
  withStore(async (store) => {
    const large = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
    const part = large.subarray(1000, 1010);
    await store.write([
      { sql: "INSERT INTO notes VALUES (1, ?, ?)", args: ["žluťoučký 🐎 \u0001", part] },
      { sql: "INSERT INTO notes VALUES (2, '', ?)", args: [new Uint8Array(0)] },
      { sql: "INSERT INTO notes VALUES (?, '', ?)", args: [2 ** 53 - 1, large] },
      { sql: "INSERT INTO notes VALUES (?, '', NULL)", args: [-5n] },
    ]);
    const { rows } = await store.read("SELECT id, text, data FROM notes ORDER BY id");
    assert.deepEqual(rows, [
      [-5, "", null],
      [1, "žluťoučký 🐎 \u0001", Uint8Array.from(part)],
      [2, "", new Uint8Array(0)],
      [2 ** 53 - 1, "", large],
    ]);
  }));

Deno.test("a value that cannot be bound is refused, and the store goes on", () =>
  withStore(async (store) => {
    for (const value of [true, undefined, NaN, Infinity, 2n ** 63n, {}]) {
      // The cast is the point: callers in TypeScript cannot do this, data that was not checked can.
      const args = [1, value] as unknown as string[];
      await assert.rejects(store.write([{ sql: INSERT, args }]), StatementError, String(value));
    }
    await store.write([{ sql: INSERT, args: [1, "a"] }]);
    assert.deepEqual(await texts(store), ["a"]);
  }));

Deno.test("a missing argument is an error, not what the statement was given the last time", () =>
  withStore(async (store) => {
    await store.write([{ sql: INSERT, args: [1, "secret"] }]);
    await assert.rejects(store.write([{ sql: INSERT, args: [2] }]), StatementError);
    await assert.rejects(store.read("SELECT ?", []), StatementError);
    assert.deepEqual(await texts(store), ["secret"]);
  }));

Deno.test("wrong SQL is the caller's error", () =>
  withStore(async (store) => {
    await assert.rejects(store.read("SELEC 1"), StatementError);
    await assert.rejects(store.write([{ sql: "INSERT INTO nowhere VALUES (1)", args: [] }]), StatementError);
    assert.deepEqual((await store.read("SELECT 1")).rows, [[1]]);
  }));

Deno.test("while another process holds the write lock the store is unavailable, and afterwards it works", async () => {
  const log = eventLog();
  await withStore(async (store, folder) => {
    const other = new Database(`${folder}/queue.db`);
    other.exec("BEGIN IMMEDIATE");
    await assert.rejects(
      store.write([{ sql: INSERT, args: [1, "a"] }]),
      (error) => error instanceof StoreUnavailable && !error.full && /lock/.test(error.message),
    );
    assert.deepEqual(await texts(store), [], "reading needs no lock");
    assert.equal(log.count("store.recovered"), 0, "nor does it show that writes work again");
    other.exec("ROLLBACK");
    other.close();
    await store.write([{ sql: INSERT, args: [2, "b"] }]);
    assert.deepEqual(await texts(store), ["b"]);
  }, { timeout: 20, emit: log.emit });
  assert.equal(log.count("store.unavailable"), 1);
  assert.equal(log.count("store.recovered"), 1);
});

Deno.test("a full disk is told from other failures, once, and the store recovers when there is room", async () => {
  const log = eventLog();
  await withStore(async (store) => {
    const limit = (pages: number) => store.read(`PRAGMA max_page_count=${pages}`);
    await limit(6);
    const body = new Uint8Array(20_000);
    const put = (id: number) => store.write([{ sql: "INSERT INTO notes VALUES (?, 'n', ?)", args: [id, body] }]);
    await put(1).catch(() => undefined);
    for (const id of [2, 3]) {
      await assert.rejects(put(id), (error) => error instanceof StoreUnavailable && error.full);
    }
    await limit(1000);
    await put(4);
  }, { emit: log.emit });
  assert.deepEqual([log.count("store.unavailable"), log.count("store.recovered")], [1, 1]);
});

Deno.test("a database that turned read-only is opened anew for the next write", () =>
  withStore(async (store) => {
    await store.read("PRAGMA query_only = ON");
    await assert.rejects(store.write([{ sql: INSERT, args: [1, "a"] }]), StoreUnavailable);
    await store.write([{ sql: INSERT, args: [2, "b"] }]);
    assert.deepEqual(await texts(store), ["b"]);
  }));

Deno.test("a missing folder is made; one that cannot be made is named", async () => {
  await using folder = await temporaryFolder();
  const nested = await openTemporaryStore(`${folder.path}/a/b`, { migrations: NOTES });
  await nested.close();
  await Deno.writeTextFile(`${folder.path}/file`, "");
  await assert.rejects(
    openTemporaryStore(`${folder.path}/file/sub`, { migrations: NOTES }),
    (error) => error instanceof StoreUnavailable && error.message.includes(`${folder.path}/file/sub`),
  );
});

Deno.test("a file that is no database is refused", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/queue.db`, "not a database, but long enough to have a header ".repeat(50));
  await assert.rejects(openTemporaryStore(folder.path), StoreUnavailable);
});

Deno.test("a database file that is moved away stops writes until it is back", () =>
  withStore(async (store, folder) => {
    await store.write([{ sql: INSERT, args: [1, "a"] }]);
    await Deno.rename(`${folder}/queue.db`, `${folder}/elsewhere.db`);
    await assert.rejects(store.write([{ sql: INSERT, args: [2, "b"] }]), /moved or removed/);
    await Deno.rename(`${folder}/elsewhere.db`, `${folder}/queue.db`);
    await store.write([{ sql: INSERT, args: [3, "c"] }]);
    assert.deepEqual(await texts(store), ["a", "c"]);
  }));

Deno.test("another database put in the place of the file is opened and brought to the schema", () =>
  withStore(async (store, folder) => {
    await store.write([{ sql: INSERT, args: [1, "a"] }]);
    for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(`${folder}/queue.db${suffix}`).catch(() => undefined);
    await Deno.writeFile(`${folder}/queue.db`, new Uint8Array(0));
    await until(() => store.write([{ sql: INSERT, args: [2, "b"] }]).then(() => true, () => false));
    assert.deepEqual(await texts(store), ["b"]);
  }));

Deno.test("a schema newer than the program is refused with both versions", async () => {
  await using folder = await temporaryFolder();
  const later = [...NOTES, { version: 2, statements: ["CREATE TABLE more (id INTEGER PRIMARY KEY)"] }];
  await (await openTemporaryStore(folder.path, { migrations: later })).close();
  await assert.rejects(
    openTemporaryStore(folder.path, { migrations: NOTES }),
    (error) => error instanceof SchemaTooNew && error.found === 2 && error.known === 1,
  );
});

Deno.test("new steps of the schema are applied to an older database, each once", async () => {
  await using folder = await temporaryFolder();
  const log = eventLog();
  await (await openTemporaryStore(folder.path, { migrations: NOTES, emit: log.emit })).close();
  const later = [...NOTES, { version: 2, statements: ["ALTER TABLE notes ADD COLUMN more TEXT"] }];
  for (let i = 0; i < 2; i++) {
    await (await openTemporaryStore(folder.path, { migrations: later, emit: log.emit })).close();
  }
  const migrated = log.events.filter(({ name }) => name === "store.migrated").map(({ fields }) => [
    fields.from,
    fields.to,
  ]);
  assert.deepEqual(migrated, [[0, 1], [1, 2]]);
});

Deno.test("a step of the schema that fails changes nothing", async () => {
  await using folder = await temporaryFolder();
  const broken = [{ version: 1, statements: ["CREATE TABLE fine (id INTEGER)", "CREATE TABLE fine (id INTEGER)"] }];
  await assert.rejects(openTemporaryStore(folder.path, { migrations: broken }), StatementError);
  const store = await openTemporaryStore(folder.path, { migrations: [] });
  assert.deepEqual((await store.read("SELECT name FROM sqlite_master")).rows, []);
  await store.close();
});

Deno.test("several processes that start at once on a new file all get the schema", async () => {
  await using folder = await temporaryFolder();
  const stores = await Promise.all(Array.from({ length: 4 }, () => openTemporaryStore(folder.path)));
  await Promise.all(stores.map((store) => store.read("SELECT * FROM recipients")));
  await Promise.all(stores.map((store) => store.close()));
});

Deno.test("without migrations the database is left as it is", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { migrations: [] });
  assert.deepEqual((await store.read("SELECT name FROM sqlite_master")).rows, []);
  await store.close();
});

Deno.test("closing ends what is under way first; later calls are refused", () =>
  withStore(async (store, folder) => {
    const pending = Promise.all(
      Array.from({ length: 50 }, (_, id) => store.write([{ sql: INSERT, args: [id, "x"] }])),
    );
    const closing = store.close();
    await assert.rejects(store.write([{ sql: INSERT, args: [99, "late"] }]), StoreUnavailable);
    await assert.rejects(store.read("SELECT 1"), StoreUnavailable);
    assert.equal((await pending).length, 50);
    await closing;
    const again = await openTemporaryStore(folder, { migrations: NOTES });
    assert.equal((await texts(again)).length, 50);
    await again.close();
  }));

Deno.test("a group that was committed after its caller was told otherwise is taken back", async () => {
  await using folder = await temporaryFolder();
  const clock = new FakeClock();
  const store = await openStore(storeConfig(`file:${folder.path}/queue.db`, 5000), {
    emit: () => {},
    clock,
    migrations: NOTES,
  });
  const other = new Database(`${folder.path}/queue.db`);
  other.exec("BEGIN IMMEDIATE");
  const written = store.write([{ sql: INSERT, args: [1, "late"] }], {
    undo: () => [{ sql: "DELETE FROM notes WHERE id = ?", args: [1] }],
  });
  const refused = assert.rejects(
    written,
    (error) => error instanceof StoreUnavailable && /no answer/.test(error.message),
  );
  // The worker waits for the lock by the machine's clock; only the store's own patience is over.
  await clock.advance(30_000);
  await refused;
  other.exec("COMMIT");
  other.close();
  const reader = await openStore(storeConfig(`file:${folder.path}/queue.db`), {
    emit: () => {},
    clock: systemClock,
    migrations: NOTES,
  });
  await store.write([{ sql: INSERT, args: [2, "next"] }]);
  await until(async () => JSON.stringify(await texts(reader)) === '["next"]', "the late group taken back");
  await reader.close();
  await store.close();
});
