/** What nodes share about certificates, on a real libSQL server. */

import { systemClock } from "../../src/clock/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { startSqld } from "../support/sqld.ts";
import { storeConfig } from "../support/store.ts";
import { recordsSuite } from "../unit/acme/records_suite.ts";

for (const scheme of ["http", "ws"]) {
  recordsSuite(`sqld over ${scheme}`, async (body) => {
    await using server = await startSqld();
    const store = await openStore(storeConfig(`${scheme}://127.0.0.1:${server.port}`), {
      emit: () => {},
      clock: systemClock,
    });
    try {
      await body(store);
    } finally {
      await store.close();
    }
  });
}
