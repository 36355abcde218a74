import assert from "node:assert/strict";
import { JOINT_ROWS, jointStatement } from "../../../src/store/joint.ts";
import { countParameters } from "../../../src/store/parameters.ts";

Deno.test("inserts and deletes of one row have a statement for several", () => {
  assert.equal(
    jointStatement("INSERT OR IGNORE INTO events (message, id) VALUES (?, ?)"),
    `INSERT OR IGNORE INTO events (message, id) VALUES ${Array(JOINT_ROWS).fill("(?, ?)").join(", ")}`,
  );
  const one = jointStatement("DELETE FROM messages WHERE id = ?") ?? "";
  assert.match(one, /^DELETE FROM messages WHERE id IN \(\?, /);
  assert.equal(countParameters(one), JOINT_ROWS);
  const two = jointStatement("DELETE FROM recipients WHERE message = ? AND seq = ?") ?? "";
  assert.match(two, /^DELETE FROM recipients WHERE \(message, seq\) IN \(VALUES \(\?, \?\), /);
  assert.equal(countParameters(two), 2 * JOINT_ROWS);
});

Deno.test("a statement of another shape runs alone", () => {
  for (
    const sql of [
      "INSERT INTO a (b) VALUES (?) RETURNING b",
      "INSERT INTO a (b) SELECT ?",
      "INSERT INTO a (b) VALUES (?) ON CONFLICT DO NOTHING",
      "DELETE FROM a WHERE b = ? OR c = ?",
      "DELETE FROM a WHERE b > ?",
      "UPDATE a SET b = ?",
    ]
  ) assert.equal(jointStatement(sql), undefined, sql);
});
