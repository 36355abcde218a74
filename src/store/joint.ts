/**
 * One statement for many rows. A call into the database library costs about as much as the row that it writes, so
 * statements of one shape that wait together are run eight at a time.
 */

/** Rows in one joint statement. */
export const JOINT_ROWS = 8;

const INSERT = /^(INSERT (?:OR [A-Z]+ )?INTO \w+ \([\w, ]+\) VALUES )(\([?, ]+\))$/;
const DELETE_ONE = /^DELETE FROM (\w+) WHERE (\w+) = \?$/;
const DELETE_TWO = /^DELETE FROM (\w+) WHERE (\w+) = \? AND (\w+) = \?$/;

/** The statement that does what `sql` does for {@link JOINT_ROWS} rows; undefined if `sql` has no shape known here. */
export function jointStatement(sql: string): string | undefined {
  const insert = INSERT.exec(sql);
  if (insert !== null) return `${insert[1]}${repeat(insert[2] ?? "")}`;
  const one = DELETE_ONE.exec(sql);
  if (one !== null) return `DELETE FROM ${one[1]} WHERE ${one[2]} IN (${repeat("?")})`;
  const two = DELETE_TWO.exec(sql);
  if (two !== null) return `DELETE FROM ${two[1]} WHERE (${two[2]}, ${two[3]}) IN (VALUES ${repeat("(?, ?)")})`;
  return undefined;
}

function repeat(part: string): string {
  return Array(JOINT_ROWS).fill(part).join(", ");
}
