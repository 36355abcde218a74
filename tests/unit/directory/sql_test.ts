import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock/mod.ts";
import type { SqlDirectoryConfig } from "../../../src/config/config.ts";
import { createDirectory, type Directory, resolveRecipient } from "../../../src/directory/mod.ts";
import { readSecret, verifyRead } from "../../../src/directory/password/secret.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { openStore, type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import { createZone } from "../../support/zone.ts";

const TABLES = [
  "CREATE TABLE accounts (name TEXT PRIMARY KEY, type TEXT, description TEXT, secret TEXT)",
  "CREATE TABLE addresses (address TEXT, name TEXT, rank INTEGER)",
  "CREATE TABLE lists (list TEXT, name TEXT)",
  "CREATE TABLE domains (domain TEXT)",
  "CREATE TABLE app_passwords (name TEXT, secret TEXT)",
  // "correct horse battery staple", made by crypt(3)
  `INSERT INTO accounts VALUES ('ana', 'person', 'Ana Lima',
    '$6$rounds=1000$ab$.wgSWarRDZHJ/.AAZr6wXHAk8UNRj3Z6oBRH.eJ3Wtg.7W81hh4pAAz3/U1LkgB.b5lA696GF7vLNaUNdGMxa.')`,
  "INSERT INTO accounts VALUES ('bob', 'individual', NULL, '{PLAIN}hidden'), ('root', 'admin', NULL, NULL)",
  "INSERT INTO accounts VALUES ('o''neill', 'individual', NULL, 'quoted')",
  `INSERT INTO addresses VALUES ('ana@example.net', 'ana', 1), ('Ana.Lima@EXAMPLE.net', 'ana', 2),
    ('bob@example.net', 'bob', 1), ('@example.net', 'root', 1), ('root@example.net', 'root', 0)`,
  "INSERT INTO lists VALUES ('staff@example.net', 'ana'), ('staff@example.net', 'bob')",
  "INSERT INTO domains VALUES ('example.net')",
  "INSERT INTO app_passwords VALUES ('bob', 'second'), ('bob', '{SHA}qZk+NkcGgWq6PiVxeFDCbJzQ2J0=')",
];

const QUERIES: SqlDirectoryConfig["queries"] = {
  name: "SELECT name, type, description, secret FROM accounts WHERE name = ?",
  recipients: "SELECT name FROM addresses WHERE address = ?1 UNION SELECT name FROM lists WHERE list = ?1",
  emails: "SELECT address FROM addresses WHERE name = ? ORDER BY rank",
  secrets: "SELECT secret FROM app_passwords WHERE name = ?",
  domains: "SELECT 1 FROM domains WHERE domain = ?",
};

function directoryOn(store: Store | undefined, changes: Partial<SqlDirectoryConfig> = {}): Directory {
  const config: SqlDirectoryConfig = {
    id: "people",
    type: "sql",
    domains: ["listed.example"],
    cache: { size: 0, positive: 0, negative: 0 },
    store: "people",
    queries: QUERIES,
    columns: { name: "name", class: "type", description: "description", secret: "secret", email: "email" },
    ...changes,
  };
  return createDirectory(config, {
    threadPool: 1,
    stores: store === undefined ? new Map() : new Map([["people", store]]),
    resolver: createZone({}),
    hostname: "mx.example.org",
    pool: { verify: (secret, password) => verifyRead(readSecret(secret), password) },
  });
}

async function withStore(body: (store: Store) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-sql-" });
  const store = await openStore({
    id: "people",
    url: `file:${folder}/people.db`,
    authToken: undefined,
    timeout: 15_000,
    allowInvalidCerts: false,
  }, { emit: () => {}, clock: systemClock, migrations: [] });
  try {
    await store.write(TABLES.map((sql) => ({ sql, args: [] })));
    await body(store);
  } finally {
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const OPTIONS = { subAddressing: true, catchAll: true, hostname: "mx.example.net" };

Deno.test("accounts, domains and addresses come from the statements", async () => {
  await withStore(async (store) => {
    const directory = directoryOn(store);
    assert.deepEqual(await directory.account("ana"), {
      name: "ana",
      class: "individual",
      description: "Ana Lima",
      emails: ["ana@example.net", "Ana.Lima@example.net"],
    });
    assert.equal((await directory.account("root"))?.class, "admin");
    assert.equal((await directory.account("o'neill"))?.name, "o'neill");
    assert.equal(await directory.account("nobody"), undefined);
    assert.equal(await directory.account("' OR '1'='1"), undefined);
    for (
      const [domain, local] of [["example.net", true], ["listed.example", true], ["example.org", false], [
        "",
        false,
      ]] as const
    ) {
      assert.equal(await directory.isLocalDomain(domain), local, domain);
    }
    assert.deepEqual(directory.localDomains(), ["listed.example"]);
  });
});

Deno.test("sub-addresses, lists, catch-all and postmaster work as in any directory", async () => {
  await withStore(async (store) => {
    const directory = directoryOn(store);
    const resolve = (address: string, options = OPTIONS) => resolveRecipient(directory, address, options);
    assert.deepEqual(await resolve("Ana+tag@example.net"), {
      kind: "local",
      accounts: ["ana"],
      address: "Ana+tag@example.net",
    });
    const list = await resolve("STAFF@example.net");
    assert.deepEqual(list.kind === "local" && [...list.accounts].sort(), ["ana", "bob"]);
    const caught = await resolve("anything@example.net");
    assert.deepEqual(caught.kind === "local" && caught.accounts, ["root"]);
    assert.deepEqual(await resolve("anything@example.net", { ...OPTIONS, catchAll: false }), { kind: "unknown" });
    assert.deepEqual(await resolve("x@listed.example"), { kind: "unknown" });
    assert.deepEqual(await resolve("x@example.org"), { kind: "not-local" });
  });
});

Deno.test("a password is compared with the secrets of both statements", async () => {
  await withStore(async (store) => {
    const directory = directoryOn(store);
    const login = async (name: string, password: string) => (await directory.login(name, password)).kind;
    assert.equal(await login("ana", "correct horse battery staple"), "accepted");
    assert.equal(await login("ana", "wrong"), "refused");
    // "abc" as {SHA}
    for (const password of ["hidden", "second", "abc"]) {
      assert.equal(await login("bob", password), "accepted", password);
    }
    assert.equal(await login("bob", "third"), "refused");
    assert.equal(await login("root", ""), "refused");
    assert.equal(await login("nobody", "hidden"), "refused");
    assert.deepEqual(await directory.plainSecrets?.("bob"), ["hidden", "second"]);
    assert.deepEqual(await directory.plainSecrets?.("ana"), []);
    assert.deepEqual(await directory.plainSecrets?.("nobody"), []);
  });
});

Deno.test("columns have the names that the configuration gives them, and an address may be one of them", async () => {
  await withStore(async (store) => {
    const directory = directoryOn(store, {
      queries: {
        ...QUERIES,
        name: "SELECT name AS Login, 'group' AS kind, 'mail@example.net' AS mailbox FROM accounts WHERE name = ?",
        emails: undefined,
        secrets: undefined,
        domains: undefined,
      },
      columns: { name: "login", class: "kind", description: "none", secret: "none", email: "mailbox" },
    });
    assert.deepEqual(await directory.account("bob"), { name: "bob", class: "group", emails: ["mail@example.net"] });
    assert.equal((await directory.login("bob", "hidden")).kind, "refused");
    assert.equal(await directory.isLocalDomain("example.net"), false);
  });
});

Deno.test("a database that is away, or a statement that is wrong, says neither yes nor no", async () => {
  const unavailable = (error: unknown) =>
    error instanceof LookupUnavailable && /^directory people: /.test(error.message);
  const away: Store = {
    read: () => Promise.reject(new StoreUnavailable("store people: locked", false)),
    write: () => Promise.reject(new StoreUnavailable("store people: locked", false)),
    close: () => Promise.resolve(),
  };
  for (const store of [away, undefined]) {
    const directory = directoryOn(store);
    await assert.rejects(async () => await directory.recipients("ana@example.net"), unavailable);
    await assert.rejects(async () => await directory.isLocalDomain("example.net"), unavailable);
    await assert.rejects(directory.login("ana", "x"), unavailable);
    await assert.rejects(resolveRecipient(directory, "ana@example.net", OPTIONS), unavailable);
  }
  await withStore(async (store) => {
    const directory = directoryOn(store, {
      queries: { ...QUERIES, recipients: "SELECT nothing FROM nowhere WHERE x = ?" },
    });
    await assert.rejects(async () => await directory.recipients("ana@example.net"), unavailable);
  });
});
