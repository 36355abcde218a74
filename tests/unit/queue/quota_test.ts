import assert from "node:assert/strict";
import type { Store } from "../../../src/store/mod.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { quotaSuite, recounted, totals } from "./quota_suite.ts";

quotaSuite("file", async (body) => {
  await using folder = await temporaryFolder();
  const stores: Store[] = [];
  try {
    await body({
      async open() {
        const store = await openTemporaryStore(folder.path);
        stores.push(store);
        return store;
      },
    });
  } finally {
    for (const store of stores) await store.close();
  }
});

Deno.test("counts are exact after a kill -9 in the middle of taking and delivering", async () => {
  await using folder = await temporaryFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./accepting_node.ts", import.meta.url).pathname],
    env: { FOLDER: folder.path, QUOTAS: "yes" },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let lines = 0;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    lines += part.split("\n").length - 1;
    if (lines < 300) continue;
    child.kill("SIGKILL");
    break;
  }
  await child.status;
  const store = await openTemporaryStore(folder.path);
  const counted = await totals(store);
  assert.equal(counted.length, 3, "all, and each of two recipients");
  assert.deepEqual(counted, await recounted(store));
  const orphans = await store.read(
    "SELECT count(*) FROM quota_uses u WHERE NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = u.message AND " +
      "r.seq = u.seq)",
  );
  assert.deepEqual(orphans.rows, [[0]]);
  await store.close();
});
