import { SchemaTooNew, type Statement, StatementError, type Store } from "./types.ts";

/** One step of the schema; `version` counts up from 1 without gaps. */
export interface Migration {
  readonly version: number;
  readonly statements: readonly string[];
}

/**
 * Applies the migrations that `store` has not seen, all in one transaction.
 *
 * @returns the versions before and after
 * @throws {SchemaTooNew} if the database has a version that is not in the list
 */
export async function migrate(
  store: Store,
  migrations: readonly Migration[],
): Promise<{ readonly from: number; readonly to: number }> {
  const known = migrations.reduce((highest, { version }) => Math.max(highest, version), 0);
  if (known === 0) return { from: 0, to: 0 };
  const from = await versionOf(store);
  if (from > known) throw new SchemaTooNew(from, known);
  if (from === known) return { from, to: known };
  const pending = migrations.filter(({ version }) => version > from).sort((a, b) => a.version - b.version);
  const group: Statement[] = [{
    sql: "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)",
    args: [],
  }];
  for (const { version, statements } of pending) {
    // First, so that of two programs that start at once the second fails before it repeats anything.
    group.push({ sql: "INSERT INTO schema_version (version, applied) VALUES (?, datetime('now'))", args: [version] });
    for (const sql of statements) group.push({ sql, args: [] });
  }
  try {
    await store.write(group);
  } catch (error) {
    if (!(error instanceof StatementError) || await versionOf(store) !== known) throw error;
  }
  return { from, to: known };
}

async function versionOf(store: Store): Promise<number> {
  const table = await store.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'");
  if (table.rows.length === 0) return 0;
  const found = await store.read("SELECT coalesce(max(version), 0) FROM schema_version");
  return Number(found.rows[0]?.[0] ?? 0);
}
