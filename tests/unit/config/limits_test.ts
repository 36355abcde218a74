import assert from "node:assert/strict";
import { configOf, problemsOf } from "./loading.ts";

/** Stage of a limiter with these settings. */
function stageOf(settings: string): string | undefined {
  return configOf(`queue.limiter.inbound = [{ enable = true, rate = "1/1s", ${settings} }]`).inboundLimiters[0]?.stage;
}

Deno.test("a limiter counts at the first stage where all variables in key and match are known", () => {
  assert.equal(stageOf("key = []"), "connection");
  assert.equal(stageOf("key = ['remote_ip', 'listener']"), "connection");
  assert.equal(stageOf('match = "local_port == 25 && !is_tls"'), "connection");
  assert.equal(stageOf("key = ['helo_domain']"), "message");
  assert.equal(stageOf("key = ['authenticated_as']"), "message");
  assert.equal(stageOf("key = ['remote_ip', 'sender_domain']"), "message");
  assert.equal(stageOf("key = ['remote_ip'], match = \"is_empty(authenticated_as)\""), "message");
  assert.equal(stageOf("match = \"sender == ''\""), "message");
  assert.equal(stageOf('match = "priority > 3"'), "message");
  assert.equal(stageOf("key = ['rcpt']"), "recipient");
  assert.equal(stageOf("key = ['remote_ip'], match = \"is_local_domain('', rcpt_domain)\""), "recipient");
  assert.equal(stageOf('match = "count(recipients) > 5"'), "recipient");
});

Deno.test("limiters are read in each of their spellings, and only those that are switched on count", () => {
  const config = configOf(`
[queue.limiter.inbound.a]
rate = "5/1m"
enable = true
[queue.limiter.inbound.b]
concurrency = 3
[queue.limiter.inbound.c]
concurrency = 2
key = "remote_ip"
enable = true
`);
  assert.deepEqual(
    config.inboundLimiters.map(({ id, rate, concurrency, key }) => ({ id, rate, concurrency, key })),
    [
      { id: "queue.limiter.inbound[0]", rate: { count: 5, period: 60_000 }, concurrency: undefined, key: [] },
      { id: "queue.limiter.inbound[2]", rate: undefined, concurrency: 2, key: ["remote_ip"] },
    ],
  );
});

Deno.test("a limiter needs a rate or a concurrency, known variables, and a condition that is one", () => {
  const problems = problemsOf(`
[[queue.limiter.inbound]]
enable = true
key = ["remote_ip", "colour"]
match = "colour == 'red'"
`).join("\n");
  assert.match(problems, /queue\.limiter\.inbound\S* .*needs a rate, .*or a concurrency/);
  assert.match(problems, /queue\.limiter\.inbound\S*key.*colour/);
  assert.match(problems, /queue\.limiter\.inbound\S*match.*'colour'/);
});

Deno.test("a limiter or quota that is not switched on is ignored, whatever it lacks", () => {
  for (const entry of ["queue.limiter.inbound", "queue.limiter.outbound", "queue.quota"]) {
    assert.deepEqual(problemsOf(`${entry} = [{ enable = false }, { key = "rcpt" }]`), [], entry);
    // What is there is read all the same, so that switching it on brings no surprise.
    assert.match(problemsOf(`${entry} = [{ key = "colour" }]`).join("\n"), /\.key/, entry);
  }
  const { inboundLimiters, queue } = configOf(`
queue.limiter.inbound = [{ rate = "1/1s" }]
queue.limiter.outbound = [{ rate = "1/1s" }]
queue.quota = [{ messages = 1 }]
`);
  assert.deepEqual([inboundLimiters, queue.outboundLimiters, queue.quotas], [[], [], []]);
});

Deno.test("what limiters and quotas without a limit are advised to have is understood", () => {
  for (const entry of ["queue.limiter.inbound.0", "queue.limiter.outbound.0", "queue.quota.0"]) {
    const [problem = ""] = problemsOf(`${entry}.enable = true`);
    const advised = [...problem.matchAll(/such as (\w+ = [^,]+)/g)].map(([, setting]) => setting);
    assert.equal(advised.length, 2, problem);
    for (const setting of advised) assert.deepEqual(problemsOf(`${entry} = { enable = true, ${setting} }`), []);
  }
});

Deno.test("loopback addresses are never banned, and the default rates hold without any setting", () => {
  const { server } = configOf("");
  assert.deepEqual(server.autoBan.auth, { count: 100, period: 86_400_000 });
  assert.deepEqual(server.autoBan.abuse, { count: 35, period: 86_400_000 });
  assert.deepEqual(server.autoBan.loiter, { count: 150, period: 86_400_000 });
  assert.deepEqual(server.autoBan.scan, { count: 150, period: 86_400_000 });
  assert.ok(server.autoBan.scanPaths.includes("*.php*") && server.autoBan.scanPaths.length === 12);
  assert.deepEqual(server.allowedIp.map(({ address }) => address).sort(), ["127.0.0.1", "::1"]);
});

Deno.test("a list that is fetched has defaults, and its separator is one character", () => {
  const { httpLookups } = configOf('http-lookup.l = { url = "https://x.example/l", format = "csv" }');
  assert.deepEqual(httpLookups.get("l"), {
    id: "l",
    enable: true,
    url: "https://x.example/l",
    format: { type: "csv", separator: ",", skipFirst: false, keyColumn: 0, valueColumn: undefined },
    refresh: 12 * 3_600_000,
    retry: 3_600_000,
    timeout: 30_000,
    gzipped: false,
    limits: { size: 104_857_600, entries: 100_000, entrySize: 512 },
  });
  const problems = problemsOf('http-lookup.l = { url = "ftp://x", format = "csv", separator = "--" }').join("\n");
  assert.match(problems, /http-lookup\.l\.url/);
  assert.match(problems, /http-lookup\.l\.separator.*one character/);
});
