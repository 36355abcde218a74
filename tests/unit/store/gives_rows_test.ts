import assert from "node:assert/strict";
import { givesRows } from "../../../src/store/gives_rows.ts";

Deno.test("a statement is told by its verb, whatever stands before it", () => {
  for (
    const sql of [
      "SELECT 1",
      "\n\tselect a FROM t",
      "-- who may send\nSELECT 1",
      "/* delete */ SELECT 1",
      "(SELECT 1)",
      "VALUES (1)",
      "PRAGMA user_version",
      "EXPLAIN DELETE FROM t",
      "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
      'WITH RECURSIVE x(n) AS (VALUES (1) UNION SELECT n + 1 FROM x), "insert" AS (SELECT 2) SELECT n FROM x',
    ]
  ) assert.equal(givesRows(sql), true, sql);
});

Deno.test("what changes something does so behind comments and WITH, too", () => {
  for (
    const sql of [
      "INSERT INTO t SELECT 1",
      "-- SELECT\nDELETE FROM t",
      "WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x",
      "with x as (select 1 as a) update t set a = (select a from x)",
      "CREATE TABLE t (a)",
      "REPLACE INTO t VALUES (1)",
      "",
    ]
  ) assert.equal(givesRows(sql), false, sql);
});
