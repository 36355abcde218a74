import assert from "node:assert/strict";
import { compileScripts } from "../../../src/config/build/scripts.ts";
import { formatProblem, parseConfig } from "../../../src/config/mod.ts";
import { createHttpLists } from "../../../src/directory/mod.ts";
import { StsFetchError } from "../../../src/outbound/mta_sts_fetch.ts";
import { explain, ExplainError, readRequest } from "../../../src/server/explain/mod.ts";
import type { Decision, Explanation } from "../../../src/server/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { createZone } from "../../support/zone.ts";

// The lines are counted in the tests.
const CONFIGURATION = `# line 1
server.hostname = "mx.example.org"
server.listener.smtp = { bind = "127.0.0.1:25", protocol = "smtp" }
server.listener.lmtp = { bind = "127.0.0.1:24", protocol = "lmtp" }
store.data = { type = "libsql", url = "file:/nowhere/godwit.db" }
storage.data = "data"
storage.directory = "staff"
session.rcpt.relay = [
  { if = "remote_ip == '192.0.2.1'", then = true },
  { else = "!is_empty(authenticated_as)" },
]
session.rcpt.rewrite = [ { if = "matches('^info@(.+)$', rcpt)", then = "'bob@' + $1" }, { else = false } ]
queue.strategy.route = [
  { if = "rcpt_domain == 'partner.example'", then = "'partner'" },
  { if = "is_local_domain('', rcpt_domain)", then = "'local'" },
  { else = "'mx'" },
]
queue.strategy.schedule = [ { if = "priority > 3", then = "'urgent'" }, { else = "'remote'" } ]
queue.strategy.tls = [ { if = "retry_num > 0 && last_error == 'tls'", then = "'invalid-tls'" }, { else = "'default'" } ]
queue.virtual.fast = { threads-per-node = 7 }
queue.schedule.urgent = { queue-name = "fast", retry = ["1m"], expire = "1h" }
queue.route.partner = { type = "relay", address = "192.0.2.77", port = 2525, auth = { username = "us", secret = "open sesame" } }
[[queue.limiter.inbound]]
enable = true
match = "remote_ip != '127.0.0.1'"
key = ["sender_domain", "remote_ip"]
rate = "100/1h"
[[queue.limiter.outbound]]
enable = true
key = ["rcpt_domain", "mx"]
concurrency = 5
[[queue.quota]]
enable = true
match = "sender_domain == 'example.net'"
key = ["rcpt_domain"]
messages = 1000
[directory.staff]
type = "memory"
[[directory.staff.principals]]
name = "bob"
secret = "hidden"
email = ["bob@example.org"]
`;

const ZONE = createZone({
  "elsewhere.example": { mx: [[10, "mx1.elsewhere.example"], [20, "mx2.elsewhere.example"]] },
  "mx1.elsewhere.example": { a: ["198.51.100.1"] },
  "mx2.elsewhere.example": { a: ["198.51.100.2"] },
  "signed.example": { mx: [[10, "mx.signed.example"], [20, "mx2.signed.example"]], security: "secure" },
  "mx.signed.example": { a: ["198.51.100.3"], security: "secure" },
  "_25._tcp.mx.signed.example": {
    tlsa: [{ usage: 3, selector: 1, matchingType: 1, data: new Uint8Array(32) }],
    security: "secure",
  },
  "mx2.signed.example": { a: ["198.51.100.4"], security: "secure" },
  "_25._tcp.mx2.signed.example": { error: "timeout" },
  "_mta-sts.signed.example": { txt: ["v=STSv1; id=s1"] },
  "vague.example": { mx: [[10, "mx.vague.example"]], security: "secure" },
  "mx.vague.example": { a: ["198.51.100.5"], security: "secure" },
  "_25._tcp.mx.vague.example": {
    tlsa: [{ usage: 1, selector: 1, matchingType: 1, data: new Uint8Array(32) }],
    security: "secure",
  },
  "_mta-sts.vague.example": { txt: ["v=STSv1; id=v1"] },
  "sts.example": { mx: [[10, "mx1.elsewhere.example"], [20, "mx2.elsewhere.example"]] },
  "_mta-sts.sts.example": { txt: ["v=STSv1; id=a1"] },
  "trial.example": { mx: [[10, "mx1.elsewhere.example"]] },
  "_mta-sts.trial.example": { txt: ["v=STSv1; id=t1"] },
  "down.example": { mx: [[10, "mx1.elsewhere.example"]] },
  "_mta-sts.down.example": { txt: ["v=STSv1; id=d1"] },
});

const POLICIES: Readonly<Record<string, string>> = {
  "sts.example": "version: STSv1\nmode: enforce\nmx: mx1.elsewhere.example\nmax_age: 86400\n",
  "trial.example": "version: STSv1\nmode: testing\nmx: *.elsewhere.example\nmax_age: 86400\n",
  "signed.example": "version: STSv1\nmode: enforce\nmx: mx.signed.example\nmax_age: 86400\n",
  "vague.example": "version: STSv1\nmode: enforce\nmx: mx.vague.example\nmax_age: 86400\n",
};

async function ask(
  options: Readonly<Record<string, string>>,
  { configuration = CONFIGURATION, message, stores = new Map() }: {
    configuration?: string;
    message?: string;
    stores?: ReadonlyMap<string, Store>;
  } = {},
): Promise<Explanation> {
  const { config, problems } = parseConfig(configuration, { env: () => "from the environment", compileScripts });
  assert.ok(config, problems.map((problem) => formatProblem(problem)).join("\n"));
  const raw = Object.fromEntries(Object.entries(options).map(([name, value]) => [name, [value]]));
  const request = readRequest(raw, message === undefined ? undefined : new TextEncoder().encode(message));
  assert.ok(typeof request !== "string", String(request));
  const clock = new FakeClock();
  const httpLists = createHttpLists({ clock, emit: () => {} });
  const fetchPolicy = (domain: string) => {
    const policy = POLICIES[domain];
    return policy === undefined
      ? Promise.reject(new StsFetchError("nobody answers", "sts-policy-fetch-error"))
      : Promise.resolve(policy);
  };
  return await explain(config, request, {
    ...{ stores, resolver: ZONE, httpLists, fetchPolicy, clock },
    random: () => 0,
  });
}

function stage(explanation: Explanation, name: string) {
  const found = explanation.session.find((one) => one.name === name);
  assert.ok(found, `no stage ${name}; there are ${explanation.session.map((one) => one.name).join(", ")}`);
  return found;
}

function decision(list: readonly Decision[], key: string): Decision {
  const found = list.find((one) => one.key === key);
  assert.ok(found, `no decision ${key}; there are ${list.map((one) => one.key).join(", ")}`);
  return found;
}

Deno.test("the item of the file that decides is named with line, number and text", async () => {
  const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example", ip: "192.0.2.1" });
  assert.equal(explanation.accepted, true);
  assert.deepEqual(decision(stage(explanation, "rcpt x@elsewhere.example").decisions, "session.rcpt.relay"), {
    key: "session.rcpt.relay",
    value: "true",
    by: "file",
    line: 9,
    item: 1,
    condition: "remote_ip == '192.0.2.1'",
    result: "true",
  });
  const [recipient] = explanation.recipients;
  const route = decision(recipient?.decisions ?? [], "queue.strategy.route");
  assert.deepEqual([route.value, route.line, route.item, route.condition, route.result], [
    "mx",
    16,
    3,
    undefined,
    "'mx'",
  ]);
  assert.deepEqual(route.passed, ["rcpt_domain == 'partner.example'", "is_local_domain('', rcpt_domain)"]);
});

Deno.test("the mail hosts are those of DNS, each with what its strategies and limiters say", async () => {
  const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example", ip: "192.0.2.1" });
  const [recipient] = explanation.recipients;
  assert.deepEqual(recipient?.hosts.map(({ host, addresses }) => [host, addresses]), [
    ["mx1.elsewhere.example", ["198.51.100.1"]],
    ["mx2.elsewhere.example", ["198.51.100.2"]],
  ]);
  const [limit] = recipient?.hosts[1]?.limits ?? [];
  assert.deepEqual([limit?.key, limit?.matches, limit?.limits, limit?.counts], [
    "queue.limiter.outbound[0]",
    true,
    ["5 at the same time"],
    { rcpt_domain: "elsewhere.example", mx: "mx2.elsewhere.example" },
  ]);
});

Deno.test("what is refused is refused with the words of the session, and delivery is told all the same", async () => {
  const explanation = await ask({ from: "a@example.net", to: "x@partner.example" });
  assert.equal(explanation.accepted, false);
  const { said, decisions, notes } = stage(explanation, "rcpt x@partner.example");
  assert.deepEqual(said, [
    { from: "client", text: "RCPT TO:<x@partner.example>" },
    { from: "server", text: "550 5.7.1 Relay not allowed" },
  ]);
  const relay = decision(decisions, "session.rcpt.relay");
  assert.deepEqual([relay.value, relay.line, relay.item, relay.result], [
    "false",
    10,
    2,
    "!is_empty(authenticated_as)",
  ]);
  assert.deepEqual(notes, ["directory staff: the domain of x@partner.example is not local"]);
  assert.equal(decision(explanation.recipients[0]?.decisions ?? [], "queue.strategy.route").value, "partner");
  assert.ok(!explanation.session.some(({ name }) => name === "data"));
});

Deno.test("a login opens what it opens, and a rewritten recipient is followed", async () => {
  const explanation = await ask({
    from: "bob@example.org",
    to: "info@example.org,x@partner.example",
    "auth-as": "bob",
  });
  assert.equal(explanation.accepted, true);
  assert.equal(explanation.source, "authenticated");
  const info = stage(explanation, "rcpt info@example.org");
  assert.deepEqual(info.notes, ["directory staff: bob@example.org belongs to bob"]);
  const rewrite = decision(info.decisions, "session.rcpt.rewrite");
  assert.deepEqual([rewrite.value, rewrite.line, rewrite.item], ["bob@example.org", 12, 1]);
  assert.deepEqual(explanation.recipients.map(({ address }) => address), ["bob@example.org", "x@partner.example"]);
  const route = decision(explanation.recipients[0]?.decisions ?? [], "queue.strategy.route");
  assert.deepEqual([route.value, route.line, route.item], ["local", 15, 2]);
  const relay = decision(explanation.recipients[1]?.decisions ?? [], "queue.route.partner");
  assert.equal(relay.value, "relay to 192.0.2.77:2525 by smtp, TLS from the first byte, login as us");
  assert.ok(!JSON.stringify(explanation).includes("open sesame"), "secrets are not told");
});

Deno.test("what is known of earlier attempts, and the priority, reach the strategies", async () => {
  const explanation = await ask({
    from: "bob@example.org",
    to: "x@elsewhere.example",
    "auth-as": "bob",
    priority: "4",
    "retry-num": "2",
    "last-error": "tls",
  });
  const [recipient] = explanation.recipients;
  assert.equal(explanation.priority, 4);
  assert.equal(decision(recipient?.decisions ?? [], "queue.strategy.schedule").value, "urgent");
  assert.equal(decision(recipient?.decisions ?? [], "virtual queue").value, "fast, 7 deliveries at the same time");
  const tls = decision(recipient?.hosts[0]?.decisions ?? [], "queue.strategy.tls");
  assert.deepEqual([tls.value, tls.item], ["invalid-tls", 1]);
});

Deno.test("limiters and quotas say whether they match and what they count by", async () => {
  const far = await ask({ from: "a@example.net", to: "bob@example.org", ip: "192.0.2.7" });
  const [limit] = stage(far, "mail").limits;
  assert.deepEqual([limit?.key, limit?.line, limit?.matches, limit?.limits, limit?.counts], [
    "queue.limiter.inbound[0]",
    25,
    true,
    ["100/1h"],
    { sender_domain: "example.net", remote_ip: "192.0.2.7" },
  ]);
  const near = await ask({ from: "a@example.com", to: "bob@example.org" });
  assert.deepEqual(stage(near, "mail").limits.map(({ matches }) => matches), [false]);
  const quota = (explanation: Explanation) => explanation.recipients[0]?.quotas[0];
  assert.deepEqual([quota(far)?.matches, quota(far)?.limits, quota(far)?.counts], [
    true,
    ["1000 messages"],
    { rcpt_domain: "example.org" },
  ]);
  assert.equal(quota(near)?.matches, false);
});

Deno.test("the header fields that would be added are shown, for the message that is given", async () => {
  const message = "From: a@example.net\r\nSubject: x\r\n\r\n.dots\r\nend\r\n";
  const explanation = await ask({ from: "a@example.net", to: "bob@example.org", helo: "client.example.net" }, {
    message,
  });
  assert.ok(
    explanation.addedFields.some((field) =>
      /^Received: from client\.example\.net \(\[127\.0\.0\.1\]\) by mx\.example\.org /.test(field)
    ),
    explanation.addedFields.join("\n"),
  );
  assert.ok(stage(explanation, "data").said.some(({ text }) => text === `(${message.length} octets of content)`));
});

Deno.test("a size that is announced is judged before the content", async () => {
  const explanation = await ask({ from: "a@example.net", to: "bob@example.org", size: "999999999" });
  assert.match(stage(explanation, "mail").said[1]?.text ?? "", /^552 5\.3\.4 /);
  assert.equal(explanation.accepted, false);
});

Deno.test("without DNS nothing is looked up, and that is said", async () => {
  const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example", ip: "192.0.2.1", offline: "true" });
  const [recipient] = explanation.recipients;
  assert.deepEqual(recipient?.hosts, []);
  assert.deepEqual(recipient?.notes, ["the mail hosts of elsewhere.example are not looked up (offline)"]);
  const named = await ask({
    from: "a@example.net",
    to: "x@elsewhere.example",
    ip: "192.0.2.1",
    offline: "true",
    mx: "mx9.elsewhere.example",
  });
  assert.deepEqual(named.recipients[0]?.hosts.map(({ host }) => host), ["mx9.elsewhere.example"]);
});

Deno.test("a domain that takes no mail is told in the words of the bounce", async () => {
  const explanation = await ask({ from: "a@example.net", to: "x@nowhere.example", ip: "192.0.2.1" });
  assert.deepEqual(explanation.recipients[0]?.notes, ["the domain nowhere.example does not exist"]);
});

Deno.test("LMTP greets and answers as LMTP", async () => {
  const explanation = await ask({ from: "a@example.net", to: "bob@example.org", listener: "lmtp" });
  assert.equal(explanation.accepted, true);
  assert.equal(stage(explanation, "ehlo").said[0]?.text, "LHLO client.example");
});

Deno.test("functions that write are not carried out", async () => {
  for (
    const written of [
      "key_set('', rcpt, 'seen')",
      "sql_query('', 'WITH now AS (SELECT 1) INSERT INTO seen SELECT * FROM now', []) == 0",
    ]
  ) {
    const configuration = CONFIGURATION.replace(
      /session\.rcpt\.relay = \[[^\]]*\]/,
      `session.rcpt.relay = "${written}"`,
    );
    // No store is open: carrying it out would be an error.
    const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example" }, { configuration });
    assert.equal(explanation.accepted, true, written);
  }
});

Deno.test("what cannot be looked up is shown where it stands", async () => {
  const configuration = CONFIGURATION.replace(
    /session\.rcpt\.relay = \[[^\]]*\]/,
    `session.rcpt.relay = "key_exists('', rcpt)"`,
  );
  const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example" }, { configuration });
  assert.equal(explanation.accepted, false);
  const { said, decisions } = stage(explanation, "rcpt x@elsewhere.example");
  assert.match(said[1]?.text ?? "", /^451 4\.3\.0 /);
  assert.match(decision(decisions, "session.rcpt.relay").errors?.[0] ?? "", /store .* is not open/);
});

Deno.test("text that a macro brought in is not shown", async () => {
  const configuration = CONFIGURATION.replace(
    /session\.rcpt\.relay = \[[^\]]*\]/,
    `session.rcpt.relay = "authenticated_as == '%{env:SECRET}%'"`,
  );
  const explanation = await ask({ from: "a@example.net", to: "x@elsewhere.example" }, { configuration });
  assert.ok(!JSON.stringify(explanation).includes("from the environment"));
  const relay = decision(stage(explanation, "rcpt x@elsewhere.example").decisions, "session.rcpt.relay");
  assert.equal(relay.result, "(not shown: a macro stands here)");
});

Deno.test("a request is told everything that is wrong with it", () => {
  const wrong = readRequest({
    from: ["nobody"],
    to: [],
    ip: ["192.0.2"],
    size: ["big"],
    "last-error": ["bad luck"],
    priority: ["12"],
  }, undefined);
  assert.ok(typeof wrong === "string");
  assert.deepEqual(wrong.split("\n").map((line) => line.slice(0, line.indexOf(":"))).sort(), [
    "from",
    "ip",
    "last-error",
    "priority",
    "size",
    "to",
  ]);
});

Deno.test("names that are not defined are an error of the question", async () => {
  await assert.rejects(ask({ from: "<>", to: "bob@example.org", listener: "smpt" }), (error) => {
    assert.ok(error instanceof ExplainError);
    assert.match(error.message, /no listener smpt for mail; there are smtp, lmtp/);
    return true;
  });
  await assert.rejects(ask({ from: "<>", to: "bob@example.org", "auth-as": "eve" }), /no directory has an account eve/);
});

Deno.test("what DANE asks of each host is told", async () => {
  const daneOf = async (to: string, tls = "") => {
    const configuration = CONFIGURATION.replace("# line 1", tls);
    const { recipients } = await ask({ from: "ana@example.org", to, ip: "192.0.2.1" }, { configuration });
    return recipients[0]?.hosts.map(({ decisions }) => decisions.find(({ key }) => key === "dane")?.value);
  };
  assert.deepEqual(await daneOf("u@signed.example"), [
    "TLS, with a certificate that agrees with the TLSA records of mx.signed.example: 3 1 1",
    "nothing is delivered: the TLSA records of mx2.signed.example could not be looked up: " +
    "TLSA of _25._tcp.mx2.signed.example: timeout",
  ]);
  const none = "does not hold: there are no signed TLSA records (MX not signed, addresses not signed)";
  assert.deepEqual(await daneOf("u@elsewhere.example"), [none, none]);
  assert.deepEqual(await daneOf("u@signed.example", 'queue.tls.default = { dane = "disable" }'), [
    undefined,
    undefined,
  ]);
});

Deno.test("what MTA-STS asks of each host is told", async () => {
  const askedOf = async (to: string, tls = "", stores: ReadonlyMap<string, Store> = new Map()) => {
    const configuration = CONFIGURATION.replace("# line 1", tls);
    const { recipients } = await ask({ from: "ana@example.org", to, ip: "192.0.2.1" }, { configuration, stores });
    return recipients[0]?.hosts.map(({ decisions }) => decisions.find(({ key }) => key === "mta-sts")?.value);
  };
  const policy = "(policy a1, mode enforce, mx mx1.elsewhere.example, until 2026-01-06T12:00Z)";
  assert.deepEqual(await askedOf("u@sts.example"), [
    `TLS, with a certificate that verifies and bears the name mx1.elsewhere.example ${policy}`,
    `nothing is delivered: the MTA-STS policy of sts.example does not name mx2.elsewhere.example ${policy}`,
  ]);
  assert.deepEqual(await askedOf("u@trial.example"), [
    "is tried out by trial.example, which changes nothing here; it names the host " +
    "(policy t1, mode testing, mx *.elsewhere.example, until 2026-01-06T12:00Z)",
  ]);
  assert.deepEqual(await askedOf("u@elsewhere.example"), [
    "does not hold: elsewhere.example has no policy in force",
    "does not hold: elsewhere.example has no policy in force",
  ]);
  const unfetched = "the MTA-STS policy of down.example could not be fetched: nobody answers";
  assert.deepEqual(await askedOf("u@down.example"), [`does not hold: ${unfetched}`]);
  assert.deepEqual(await askedOf("u@down.example", 'queue.tls.default = { mta-sts = "require" }'), [
    "nothing is delivered: MTA-STS is required by queue.tls.default.mta-sts, but does not hold for " +
    `mx1.elsewhere.example: ${unfetched}`,
  ]);
  assert.deepEqual(await askedOf("u@signed.example"), ["is not asked: DANE decides", "is not asked: DANE decides"]);
  // TLSA records that say nothing leave it to the policy.
  assert.deepEqual(await askedOf("u@vague.example"), [
    "TLS, with a certificate that verifies and bears the name mx.vague.example " +
    "(policy v1, mode enforce, mx mx.vague.example, until 2026-01-06T12:00Z)",
  ]);
  assert.deepEqual(await askedOf("u@trial.example", 'queue.tls.default = { mta-sts = "disable" }'), [undefined]);
});

Deno.test("a policy that is kept is told as long as it is in force, and explaining keeps none", async () => {
  const written: unknown[] = [];
  const lines = "version: STSv1\nmode: enforce\nmx: mx1.elsewhere.example\nmax_age: 604800";
  const store = {
    read: (sql: string, [domain]: readonly unknown[] = []) =>
      Promise.resolve({
        columns: [],
        rows: sql.includes("FROM sts_policies") && domain === "down.example"
          ? [["old1", lines, Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 8), Date.UTC(2026, 0, 5)]]
          : [],
      }),
    write: (statements: readonly unknown[]) => {
      written.push(...statements);
      return Promise.resolve([]);
    },
    close: () => Promise.resolve(),
  } as unknown as Store;
  const { recipients } = await ask({ from: "ana@example.org", to: "u@down.example", ip: "192.0.2.1" }, {
    stores: new Map([["data", store]]),
  });
  assert.equal(
    recipients[0]?.hosts[0]?.decisions.find(({ key }) => key === "mta-sts")?.value,
    "TLS, with a certificate that verifies and bears the name mx1.elsewhere.example (policy old1, mode enforce, " +
      "mx mx1.elsewhere.example, until 2026-01-08T00:00Z; a newer one cannot be had: the MTA-STS policy of " +
      "down.example could not be fetched: nobody answers)",
  );
  assert.deepEqual(written, []);
});
