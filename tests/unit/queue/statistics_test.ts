import assert from "node:assert/strict";
import { createStatistics } from "../../../src/queue/statistics.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { newMessage, openTemporaryStore, openTestQueue, temporaryFolder } from "../../support/store.ts";

Deno.test("what changes its state while it is counted does not make the queue look empty", async () => {
  await using folder = await temporaryFolder();
  const clock = new FakeClock();
  const store = await openTemporaryStore(folder.path);
  const queue = await openTestQueue(store, clock);
  await queue.enqueue(newMessage(queue));
  const move = (state: number) => store.write([{ sql: "UPDATE recipients SET state = ?", args: [state] }]);
  await move(1);
  let moved = false;
  const moving: Store = {
    ...store,
    async read(sql, args) {
      const result = await store.read(sql, args);
      // Right after the groups were read, an attempt ends and the recipient waits again.
      if (!moved && sql.startsWith("WITH RECURSIVE g(")) {
        moved = true;
        await move(0);
      }
      return result;
    },
  };
  const { recipients, messages } = await createStatistics(moving, clock)();
  assert.deepEqual([recipients, messages], [1, 1]);
  await queue.close();
  await store.close();
});
