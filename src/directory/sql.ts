/** A directory in a database that is asked by the administrator's own statements (type `sql`). */

import type { SqlDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { type Rows, type SqlValue, StatementError, type Store, StoreUnavailable } from "../store/types.ts";
import { lowerDomain } from "./address.ts";
import type { Account, Directory } from "./directory.ts";
import { createPasswordCheck, plainTexts } from "./password/password_check.ts";
import type { PasswordPool } from "./password/password_pool.ts";

/** What an SQL directory works with. */
export interface SqlDirectoryOptions {
  /** The store of `directory.<id>.store`; undefined if it is not open. */
  readonly store: Pick<Store, "read"> | undefined;
  readonly pool: Pick<PasswordPool, "verify">;
}

/** Most rows of an answer that are looked at; a list may have many members. */
const MOST_ROWS = 10_000;

/** Makes an SQL directory. */
export function createSqlDirectory(config: SqlDirectoryConfig, { store, pool }: SqlDirectoryOptions): Directory {
  const { queries, columns } = config;
  const domains = new Set(config.domains);
  const check = createPasswordCheck(pool);

  const ask = async (sql: string, what: string): Promise<Rows> => {
    if (store === undefined) throw new LookupUnavailable(`directory ${config.id}: store '${config.store}' is not open`);
    try {
      return await store.read(sql, [what]);
    } catch (error) {
      if (!(error instanceof StoreUnavailable || error instanceof StatementError)) throw error;
      throw new LookupUnavailable(`directory ${config.id}: ${error.message}`, { cause: error });
    }
  };
  /** The texts in the first column of an answer. */
  const list = async (sql: string | undefined, what: string): Promise<string[]> => {
    if (sql === undefined) return [];
    const { rows } = await ask(sql, what);
    return rows.slice(0, MOST_ROWS).map((row) => toText(row[0])).filter((text) => text !== "");
  };

  interface Entry {
    readonly account: Account;
    readonly secrets: readonly string[];
  }
  const find = async (name: string): Promise<Entry | undefined> => {
    if (name === "") return undefined;
    const answer = await ask(queries.name, name);
    const [row] = answer.rows;
    if (row === undefined) return undefined;
    const column = (wanted: string) =>
      toText(row[answer.columns.findIndex((column) => column.toLowerCase() === wanted.toLowerCase())]);
    const listed = await list(queries.emails, name);
    const email = column(columns.email);
    const emails = (email === "" || listed.includes(email) ? listed : [...listed, email]).map(lowerDomain);
    const description = column(columns.description);
    const secret = column(columns.secret);
    const account: Account = { name: column(columns.name) || name, class: toClass(column(columns.class)), emails };
    return {
      account: description === "" ? account : { ...account, description },
      secrets: secret === "" ? [] : [secret],
    };
  };
  const secretsOf = async (entry: Entry | undefined): Promise<readonly string[]> =>
    entry === undefined ? [] : [...new Set([...entry.secrets, ...await list(queries.secrets, entry.account.name)])];

  return {
    id: config.id,
    isLocalDomain(domain) {
      const wanted = domain.toLowerCase();
      if (domains.has(wanted)) return true;
      if (queries.domains === undefined || wanted === "") return false;
      return ask(queries.domains, wanted).then(({ rows }) => rows.length > 0);
    },
    localDomains: () => config.domains,
    // Case does not count in a local part here, so statements are asked in lower case.
    recipients: async (address) => [...new Set(await list(queries.recipients, address.toLowerCase()))],
    account: async (name) => (await find(name))?.account,
    async login(name, password) {
      const entry = await find(name);
      const accepted = await check(await secretsOf(entry), password);
      return accepted && entry !== undefined ? { kind: "accepted", account: entry.account } : { kind: "refused" };
    },
    plainSecrets: async (name) => plainTexts(await secretsOf(await find(name))),
  };
}

function toText(value: SqlValue | undefined): string {
  if (value === null || value === undefined) return "";
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

function toClass(text: string): Account["class"] {
  const word = text.toLowerCase();
  return word === "group" || word === "admin" ? word : "individual";
}
