import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { recordsSuite } from "./records_suite.ts";

recordsSuite("embedded", async (body) => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  try {
    await body(store);
  } finally {
    await store.close();
  }
});
