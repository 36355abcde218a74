import assert from "node:assert/strict";
import type { InboundLimiterConfig } from "../../../src/config/config.ts";
import type { Value } from "../../../src/expression/types.ts";
import { createInboundLimits, createRateCounter, openSlotCounter } from "../../../src/throttle/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { computed, constant, noFunctions, openTemporaryStore, temporaryFolder } from "../../support/store.ts";

function limiter(rest: Partial<InboundLimiterConfig>): InboundLimiterConfig {
  return {
    id: "queue.limiter.inbound[0]",
    stage: "message",
    rate: undefined,
    concurrency: undefined,
    key: [],
    match: constant(true),
    ...rest,
  };
}

async function limitsOf(store: Store, ...limiters: InboundLimiterConfig[]) {
  const clock = new FakeClock();
  const limits = createInboundLimits(limiters, {
    rates: createRateCounter({ store, clock }),
    slots: await openSlotCounter({ store, clock, holder: "a", lease: 60_000 }),
  });
  return (variables: Record<string, Value>, stage: InboundLimiterConfig["stage"] = "message") =>
    limits.admit(stage, { variables, functions: noFunctions });
}

Deno.test("one count for each combination of the key's variables, without case", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const admit = await limitsOf(store, limiter({ rate: { count: 1, period: 1000 }, key: ["remote_ip", "sender"] }));
  assert.equal((await admit({ remote_ip: "192.0.2.1", sender: "a@b" })).kind, "admitted");
  assert.equal((await admit({ remote_ip: "192.0.2.2", sender: "a@b" })).kind, "admitted");
  assert.equal((await admit({ remote_ip: "192.0.2.1", sender: "b@b" })).kind, "admitted");
  assert.deepEqual(await admit({ remote_ip: "192.0.2.1", sender: "A@b" }), {
    kind: "refused",
    by: "rate",
    limiter: "queue.limiter.inbound[0]",
  });
  await store.close();
});

Deno.test("a limiter counts at its stage, and only what matches", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const admit = await limitsOf(
    store,
    limiter({
      stage: "recipient",
      rate: { count: 1, period: 1000 },
      match: computed(({ rcpt_domain }) => rcpt_domain === "b"),
    }),
  );
  for (let i = 0; i < 3; i++) {
    assert.equal((await admit({ rcpt_domain: "b" }, "message")).kind, "admitted");
    assert.equal((await admit({ rcpt_domain: "other" }, "recipient")).kind, "admitted");
  }
  assert.equal((await admit({ rcpt_domain: "b" }, "recipient")).kind, "admitted");
  assert.equal((await admit({ rcpt_domain: "b" }, "recipient")).kind, "refused");
  await store.close();
});

Deno.test("of several limiters all apply, and what one refuses the others do not count", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const admit = await limitsOf(
    store,
    limiter({ rate: { count: 2, period: 60_000 } }),
    limiter({ id: "queue.limiter.inbound[1]", rate: { count: 1, period: 60_000 }, key: ["sender"], concurrency: 1 }),
  );
  const first = await admit({ sender: "a" });
  assert.equal(first.kind, "admitted");
  // The slot is taken; then the rate of the same limiter, which counts for every sender by itself.
  const second = await admit({ sender: "a" });
  assert.deepEqual(second, { kind: "refused", by: "concurrency", limiter: "queue.limiter.inbound[1]" });
  if (first.kind === "admitted") first.release();
  assert.deepEqual(await admit({ sender: "a" }), { kind: "refused", by: "rate", limiter: "queue.limiter.inbound[1]" });
  // Neither refusal took from the first limiter.
  assert.equal((await admit({ sender: "b" })).kind, "admitted");
  assert.deepEqual(await admit({ sender: "c" }), { kind: "refused", by: "rate", limiter: "queue.limiter.inbound[0]" });
  await store.close();
});

Deno.test("a stage without limiters asks nobody", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const admit = await limitsOf(store, limiter({ rate: { count: 1, period: 1000 } }));
  assert.ok(!(admit({}, "connection") instanceof Promise));
  await store.close();
});
