import assert from "node:assert/strict";
import { countParameters } from "../../../src/store/parameters.ts";
import { dirname, fromFileUrl } from "../../../src/store/path.ts";

Deno.test("parameters are counted as SQLite numbers them", () => {
  const cases: [string, number][] = [
    ["SELECT 1", 0],
    ["SELECT ?, ?", 2],
    ["SELECT ?2, ?1, ?2", 2],
    ["SELECT ?3, ?", 4],
    ["SELECT :a, :b, :a, @c, $d", 4],
    ["SELECT '?', \"?\", `?`, [?], ?", 1],
    ["SELECT 'it''s ?', ? -- and ?\n, ?", 2],
    ["SELECT /* ? ? */ ?", 1],
    ["SELECT a ->> '$.x', ?", 1],
  ];
  for (const [sql, count] of cases) assert.equal(countParameters(sql), count, sql);
});

Deno.test("file URLs give their path in every spelling", () => {
  assert.equal(fromFileUrl("file:/var/lib/godwit.db"), "/var/lib/godwit.db");
  assert.equal(fromFileUrl("file:///var/lib/godwit.db"), "/var/lib/godwit.db");
  assert.equal(fromFileUrl("file://localhost/var/lib/godwit.db"), "/var/lib/godwit.db");
  assert.equal(fromFileUrl("file:data/godwit.db"), "data/godwit.db");
  assert.equal(fromFileUrl("file:/srv/my%20mail/a.db?mode=rwc"), "/srv/my mail/a.db");
  assert.equal(dirname("/a/b.db"), "/a");
  assert.equal(dirname("/b.db"), "/");
  assert.equal(dirname("b.db"), ".");
});
