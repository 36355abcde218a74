import assert from "node:assert/strict";
import { compileSetting, EMPTY_ENVIRONMENT, type Setting, type SettingSource } from "../../../src/expression/mod.ts";
import type { DeliveryJob, QueuedRecipient } from "../../../src/queue/types.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import { connection, inShort, jobFor, mxRoute, queueConfig, relay, setUp, tlsPolicy } from "./setting.ts";

const IDS = { connection: ["default", "first", "second"], tls: ["default", "strict", "invalid-tls"] } as const;

/** A strategy as the configuration has it, with a count of how often it is asked. */
function strategy(kind: "connection" | "tls", source: SettingSource): Setting<string> & { readonly asked: number } {
  const { setting } = compileSetting<string>({
    key: `queue.strategy.${kind}`,
    context: "host",
    type: { kind: "id", ids: IDS[kind], what: kind },
    source,
    default: "'default'",
    environment: EMPTY_ENVIRONMENT,
  });
  assert.ok(setting !== undefined);
  let asked = 0;
  return {
    ...setting,
    get asked() {
      return asked;
    },
    evaluate(scope) {
      asked++;
      return setting.evaluate(scope);
    },
  };
}

const connections = [
  connection,
  { ...connection, id: "first", ehloHostname: "first.sender.example" },
  { ...connection, id: "second", ehloHostname: "second.sender.example" },
];
const tls = [
  tlsPolicy,
  { ...tlsPolicy, id: "strict", starttls: "require" as const },
  { ...tlsPolicy, id: "invalid-tls", allowInvalidCerts: true },
];

/** Gives each recipient of a job facts of its own. */
function withFacts(job: DeliveryJob, facts: readonly Partial<QueuedRecipient>[]): DeliveryJob {
  return { ...job, recipients: job.recipients.map((recipient, index) => ({ ...recipient, ...facts[index] })) };
}

const strictForCeo: SettingSource = [{ if: "rcpt == 'ceo@d.example'", then: "'strict'" }, { else: "'default'" }];

for (const addresses of [["other@d.example", "ceo@d.example"], ["ceo@d.example", "other@d.example"]]) {
  Deno.test(`who must have TLS waits for it, who need not does not: to ${addresses.join(" and ")}`, async () => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { tls, strategy: { tls: strategy("tls", strictForCeo) } });
    const { deliver, delivery } = setUp(config);
    const outcomes = await deliver(jobFor(addresses));
    await delivery.close();
    assert.deepEqual(
      Object.fromEntries(outcomes.map((outcome, index) => [addresses[index], inShort(outcome)])),
      { "other@d.example": "delivered", "ceo@d.example": "deferred tls 0 4.7.4" },
    );
    assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt), [["RCPT TO:<other@d.example>"]]);
  });
}

Deno.test("those for whom the strategies say the same share a transaction", async () => {
  await using peer = await startFakePeer();
  const source: SettingSource = [{ if: "starts_with(rcpt, 'a')", then: "'first'" }, { else: "'second'" }];
  const config = queueConfig([relay(peer.port)], {
    connections,
    strategy: { connection: strategy("connection", source) },
  });
  const { deliver, delivery } = setUp(config);
  const outcomes = await deliver(jobFor(["a1@d.example", "b1@d.example", "a2@d.example", "b2@d.example"]));
  await delivery.close();
  assert.deepEqual(outcomes.map(inShort), ["delivered", "delivered", "delivered", "delivered"]);
  assert.deepEqual(outcomes.map(({ recipient }) => recipient), [1, 2, 3, 4]);
  assert.deepEqual(peer.connections.map(({ lines }) => lines.filter((line) => /^(EHLO|RCPT)/.test(line))), [
    ["EHLO first.sender.example", "RCPT TO:<a1@d.example>", "RCPT TO:<a2@d.example>"],
    ["EHLO second.sender.example", "RCPT TO:<b1@d.example>", "RCPT TO:<b2@d.example>"],
  ]);
});

Deno.test("every variable that is kept for each recipient may part a message", async () => {
  const facts: Readonly<Record<string, Partial<QueuedRecipient>>> = {
    "rcpt_domain == 'e.example'": { domain: "e.example" },
    "retry_num > 2": { attempts: 3 },
    "notify_num == 1": { notified: 1 },
    "last_error == 'connection'": { lastError: "connection" },
    "last_status == 451": { lastStatus: 451 },
  };
  for (const [condition, second] of Object.entries(facts)) {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], {
      connections,
      strategy: { connection: strategy("connection", [{ if: condition, then: "'second'" }, { else: "'first'" }]) },
    });
    const { deliver, delivery } = setUp(config);
    const outcomes = await deliver(withFacts(jobFor(["a@d.example", "b@d.example"]), [{}, second]));
    await delivery.close();
    assert.deepEqual(outcomes.map(inShort), ["delivered", "delivered"], condition);
    assert.deepEqual(
      peer.connections.map(({ lines }) => [lines[0], lines.find((line) => line.startsWith("RCPT"))]),
      [
        ["EHLO first.sender.example", "RCPT TO:<a@d.example>"],
        ["EHLO second.sender.example", "RCPT TO:<b@d.example>"],
      ],
      condition,
    );
  }
});

Deno.test("one answer does for recipients that are alike in what the strategies read", async () => {
  await using peer = await startFakePeer();
  const byConnection = strategy("connection", "if_then(size > 0 && mx != 'x', 'first', 'second')");
  const byTls = strategy("tls", "if_then(retry_num > 0 && last_error == 'tls', 'invalid-tls', 'default')");
  const config = queueConfig([relay(peer.port)], {
    connections,
    tls,
    strategy: { connection: byConnection, tls: byTls },
  });
  const { deliver, delivery } = setUp(config);
  const addresses = Array.from({ length: 20 }, (_, index) => `u${index}@d.example`);
  const outcomes = await deliver(jobFor(addresses));
  assert.ok(outcomes.every(({ kind }) => kind === "delivered"));
  assert.deepEqual([byConnection.asked, byTls.asked, peer.messages.length], [1, 1, 1]);
  await deliver(withFacts(jobFor(addresses), addresses.map((_, index) => ({ attempts: index % 2 }))));
  assert.deepEqual([byConnection.asked, byTls.asked, peer.messages.length], [3, 3, 2], "two kinds, one choice");
  await delivery.close();
});

Deno.test("only who has failed for TLS before gets there by a certificate that does not verify", async () => {
  const notBefore = new Date(Date.UTC(2025, 0, 1));
  const selfSigned = await makeCertificate({ names: ["a.example"], notBefore });
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "STARTTLS"], tls: selfSigned });
  const config = queueConfig([mxRoute], {
    tls,
    strategy: { tls: strategy("tls", "if_then(retry_num > 0 && last_error == 'tls', 'invalid-tls', 'default')") },
  });
  const { deliver, delivery } = setUp(config, {
    mxPort: peer.port,
    resolver: createZone({ "d.example": { mx: [[10, "a.example"]] }, "a.example": { a: ["127.0.0.1"] } }),
  });
  const job = jobFor(["new@d.example", "again@d.example"], { route: "mx" });
  const outcomes = await deliver(withFacts(job, [{}, { attempts: 1, lastError: "tls" }]));
  await delivery.close();
  assert.deepEqual(outcomes.map(inShort), ["deferred tls 0 4.7.5", "delivered"]);
});

Deno.test("each goes to the next host for itself, and keeps the reason of its own failure", async () => {
  const notBefore = new Date(Date.UTC(2025, 0, 1));
  const authority = await makeCertificate({ names: ["godwit test authority"], authority: true, notBefore });
  const good = await makeCertificate({ names: ["b.example"], issuer: authority, notBefore });
  const busy = (line: string) => line.includes("<busy@") ? "451 4.2.1 mailbox busy" : undefined;
  await using plain = await startFakePeer({ on: ({ verb, line }) => verb === "RCPT" ? busy(line) : undefined });
  const able = {
    ip: "127.0.0.2",
    port: plain.port,
    extensions: ["PIPELINING", "STARTTLS", "ENHANCEDSTATUSCODES"],
    tls: good,
  };
  const options = {
    mxPort: plain.port,
    ca: [authority.cert],
    resolver: createZone({
      "d.example": { mx: [[10, "a.example"], [20, "b.example"]] },
      "a.example": { a: ["127.0.0.1"] },
      "b.example": { a: ["127.0.0.2"] },
    }),
  };
  const job = jobFor(["ceo@d.example", "other@d.example", "busy@d.example"], { route: "mx" });
  const config = () => queueConfig([mxRoute], { tls, strategy: { tls: strategy("tls", strictForCeo) } });
  {
    await using second = await startFakePeer(able);
    const { deliver, delivery } = setUp(config(), options);
    assert.equal((await deliver(job)).slice(0, 2).map(inShort).join(), "delivered,delivered");
    await delivery.close();
    assert.deepEqual(plain.messages.map(({ rcpt }) => rcpt), [["RCPT TO:<other@d.example>"]]);
    assert.deepEqual(second.messages[0]?.rcpt, ["RCPT TO:<ceo@d.example>"]);
  }
  const one = {
    ...options,
    resolver: createZone({ "d.example": { mx: [[10, "a.example"]] }, "a.example": { a: ["127.0.0.1"] } }),
  };
  const { deliver, delivery } = setUp(config(), one);
  assert.deepEqual((await deliver(job)).map(inShort), [
    "deferred tls 0 4.7.4",
    "delivered",
    "deferred unexpected-reply 451 4.2.1",
  ]);
  await delivery.close();
});
