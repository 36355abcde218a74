/** What nodes share, on any database. */

import assert from "node:assert/strict";
import { type AcmeRecords, acmeRecords } from "../../../src/acme/records.ts";
import type { Store } from "../../../src/store/mod.ts";

/** Runs `body` with a store. */
export type WithStore = (body: (store: Store) => Promise<void>) => Promise<void>;

const CERTIFICATE = { cert: "chain", privateKey: "key" };

/** Registers the tests for one kind of database. */
export function recordsSuite(kind: string, withStore: WithStore): void {
  const test = (name: string, body: (records: AcmeRecords) => Promise<void>) =>
    Deno.test(`${kind}: ${name}`, () => withStore((store) => body(acmeRecords(store))));

  test("one node at a time has the turn, and another when its time is over", async (records) => {
    assert.equal(await records.certificate("c"), undefined);
    const claims = await Promise.all(["a", "b"].map((owner) => records.claim("c", owner, 1000, 2000)));
    assert.deepEqual(claims.toSorted(), [false, true]);
    const owner = claims[0] === true ? "a" : "b";
    const other = owner === "a" ? "b" : "a";
    assert.equal(await records.claim("c", owner, 1500, 2500), true);
    assert.equal(await records.claim("c", other, 2500, 3500), false);
    assert.equal(await records.claim("c", other, 2501, 3500), true);
    // Whoever has lost the turn plans nothing any more.
    await records.release("c", owner, { next: 1, barred: 1, failures: 9 });
    assert.deepEqual(await records.certificate("c"), {
      certificate: undefined,
      issued: 0,
      next: 0,
      barred: 0,
      failures: 0,
      until: 3500,
      owner: other,
    });
    await records.release("c", other, { next: 7000, barred: 6000, failures: 2 });
    assert.equal(await records.claim("c", owner, 2600, 3600), true);
    const { next, barred, failures } = await records.certificate("c") ?? {};
    assert.deepEqual([next, barred, failures], [7000, 6000, 2]);
  });

  test("a certificate is replaced by a later one only, whoever has the turn", async (records) => {
    await records.claim("c", "a", 0, 1000);
    await records.publish("c", CERTIFICATE, 500);
    await records.publish("c", { cert: "older", privateKey: "key" }, 499);
    assert.deepEqual((await records.certificate("c"))?.certificate, CERTIFICATE);
    await records.publish("c", { cert: "later", privateKey: "key" }, 501);
    const { certificate, issued, owner } = await records.certificate("c") ?? {};
    assert.deepEqual([certificate?.cert, issued, owner], ["later", 501, "a"]);
  });

  test("of two keys for one purpose the first stays, and gets the account", async (records) => {
    const kept = await Promise.all(["one", "two"].map((privateKey) => records.keepKey("k", { privateKey, url: "" })));
    assert.equal(kept[0]?.privateKey, kept[1]?.privateKey);
    const privateKey = kept[0]?.privateKey ?? "";
    await records.keepKey("k", { privateKey, url: "https://ca.example/1" });
    await records.keepKey("k", { privateKey: "three", url: "https://ca.example/3" });
    assert.deepEqual(await records.key("k"), { privateKey, url: "https://ca.example/1" });
    await records.forgetAccount("k");
    assert.deepEqual(await records.key("k"), { privateKey, url: "" });
  });

  test("a proof is there until it is hidden, or its time is over", async (records) => {
    const proofs = async (now: number) => Object.fromEntries(await records.proofs(now));
    await records.showProofs([["http-01 a", "1"], ["http-01 b", "2"]], 1000);
    await records.showProofs([["http-01 a", "3"]], 2000);
    assert.deepEqual(await proofs(999), { "http-01 a": "3", "http-01 b": "2" });
    assert.deepEqual(await proofs(1000), { "http-01 a": "3" });
    await records.hideProofs(["http-01 a"], 1500);
    // Hiding one has removed what was over.
    assert.deepEqual(await proofs(0), {});
  });
}
