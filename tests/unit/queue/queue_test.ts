import type { Store } from "../../../src/store/mod.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { queueSuite } from "./suite.ts";

queueSuite("file", async (body) => {
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
