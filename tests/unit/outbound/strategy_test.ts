import assert from "node:assert/strict";
import { LookupUnavailable, type Value } from "../../../src/expression/types.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import { computed, connection, constant, inShort, jobFor, mxRoute, queueConfig, relay, setUp } from "./setting.ts";

Deno.test("strategies see the variables of the host context, the TLS one the chosen source address too", async () => {
  await using peer = await startFakePeer();
  const seen: Record<string, Readonly<Record<string, Value | undefined>>> = {};
  const config = queueConfig([mxRoute], {
    connections: [{ ...connection, sourceIps: ["127.0.0.3"] }],
    strategy: {
      connection: computed("queue.strategy.connection", ({ variables }) => {
        seen.connection ??= { ...variables };
        return "default";
      }),
      tls: computed("queue.strategy.tls", ({ variables }) => {
        seen.tls ??= { ...variables };
        return Promise.resolve("default");
      }),
    },
  });
  const { deliver, delivery, clock } = setUp(config, {
    mxPort: peer.port,
    resolver: createZone({ "d.example": { mx: [[10, "a.example"]] }, "a.example": { a: ["127.0.0.1"] } }),
  });
  await clock.advance(61_500);
  const job = jobFor(["u@d.example", "v@d.example"], {
    route: "mx",
    recipient: { attempts: 2, notified: 1, lastError: "tls", lastStatus: 454 },
  });
  assert.deepEqual((await deliver(job)).map(inShort), ["delivered", "delivered"]);
  assert.deepEqual(seen.connection, {
    sender: "a@sender.example",
    sender_domain: "sender.example",
    priority: 0,
    rcpt: "u@d.example",
    rcpt_domain: "d.example",
    recipients: ["u@d.example", "v@d.example"],
    source: "authenticated",
    queue_name: "remote",
    queue_age: 61,
    size: job.message.size,
    retry_num: 2,
    notify_num: 1,
    last_error: "tls",
    last_status: 454,
    received_from_ip: "192.0.2.200",
    received_via_port: 587,
    mx: "a.example",
    remote_ip: "127.0.0.1",
    local_ip: "",
  });
  assert.deepEqual(seen.tls, { ...seen.connection, local_ip: "127.0.0.3" });
  await delivery.close();
});

Deno.test("a setting that cannot reach what it looks up is a deferral", async () => {
  for (const later of [false, true]) {
    const config = queueConfig([relay(1)], {
      strategy: {
        tls: computed("queue.strategy.tls", () => {
          const error = new LookupUnavailable("the directory is away");
          if (later) return Promise.reject(error);
          throw error;
        }),
      },
    });
    const { deliver, delivery } = setUp(config);
    assert.deepEqual((await deliver(jobFor(["b@rcpt.example"]))).map(inShort), ["deferred io 0 4.3.0"]);
    await delivery.close();
  }
});

Deno.test("an id that is not defined means the built-in definition, and is logged", async () => {
  await using peer = await startFakePeer();
  const config = queueConfig([{ ...relay(peer.port), id: "mx" }], {
    strategy: { connection: constant("queue.strategy.connection", "nowhere") },
  });
  const { deliver, delivery, events } = setUp(config);
  const outcomes = await deliver(jobFor(["b@rcpt.example"], { route: "unknown" }));
  assert.deepEqual(outcomes.map(inShort), ["delivered"]);
  assert.deepEqual(
    events.filter(({ name }) => name === "smtp.id-not-found").map(({ fields }) => fields),
    [{ key: "queue.strategy.route", id: "unknown" }, { key: "queue.strategy.connection", id: "nowhere" }],
  );
  await delivery.close();
});

Deno.test("an address of a relay that DNS does not know is a deferral: the administrator may be about to add it", async () => {
  const { deliver, delivery } = setUp(queueConfig([relay(25, { address: "relay.example" })]));
  assert.deepEqual((await deliver(jobFor(["b@rcpt.example"]))).map(inShort), ["deferred dns 0 4.4.4"]);
  await delivery.close();
});
