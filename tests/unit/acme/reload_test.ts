import assert from "node:assert/strict";
import { openAcme } from "../../../src/acme/mod.ts";
import type { AcmeConfig } from "../../../src/config/config.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder, until } from "../../support/store.ts";
import { createZone } from "../../support/zone.ts";

Deno.test("a changed section waits until the one before has given back its turn, and keeps its own", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  // An authority that answers nobody.
  let asked = 0;
  using authority = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  (async () => {
    for await (const connection of authority) {
      taken.push(connection);
      asked++;
    }
  })();
  const config = (contact: string): AcmeConfig => ({
    id: "le",
    directory: `http://127.0.0.1:${authority.addr.port}/directory`,
    contacts: [`mailto:${contact}`],
    domains: ["mx.example.net"],
    cache: `${folder.path}/acme`,
    renewBefore: 86_400_000,
    default: false,
    eab: undefined,
    challenge: { kind: "http-01" },
  });
  /** Writes that give a turn back wait for the test. */
  const gate = Promise.withResolvers<void>();
  let releases = 0;
  const slow: Store = new Proxy(store, {
    get(target, name: keyof Store) {
      if (name !== "write") return target[name];
      return async (statements: Parameters<Store["write"]>[0]) => {
        if (statements.some(({ sql }) => sql.includes("owner = ''"))) {
          releases++;
          await gate.promise;
        }
        return await target.write(statements);
      };
    },
  });
  const acme = await openAcme([config("ana@example.net")], { clock, emit: eventLog().emit });
  acme.start({ store: slow, resolver: createZone({}), random: () => 0.5, nodeId: "a", onChange: () => {} });
  await until(() => asked === 1);

  (await acme.plan([config("ben@example.net")])).use();
  await until(() => releases === 1);
  // Time enough for the next one, were it not to wait.
  for (let turn = 0; turn < 5; turn++) await store.read("SELECT 1");
  assert.equal(asked, 1);
  gate.resolve();
  await until(() => asked === 2);
  const { rows: [row] } = await store.read("SELECT owner, until FROM acme_certificates");
  assert.equal(row?.[0], "a");
  assert.ok(Number(row?.[1]) > clock.now());

  await acme.close();
  for (const connection of taken) connection.close();
  await store.close();
});
