/** `godwit report` for aggregate reports that go out, on the database of a stopped server. */

import assert from "node:assert/strict";
import { noPolicy } from "../../../src/outbound/tls_result.ts";
import { createDmarcRecorder, createTlsResultRecorder } from "../../../src/report/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { observation, spf } from "../report/dmarc/observation.ts";
import { columns, type Godwit, withStoppedServer } from "./stopped_server.ts";

/** Counts some results, and lets `body` run commands on them. */
const withReports = (body: (godwit: Godwit) => Promise<void>): Promise<void> =>
  withStoppedServer(async (store) => {
    const options = { store, clock: new FakeClock(), reporter: "example.org", intervalOf: () => "daily" as const };
    const dmarc = createDmarcRecorder(options);
    for (let i = 0; i < 3; i++) dmarc.observe(observation());
    dmarc.observe(observation({
      ip: "198.51.100.9",
      refused: true,
      spf: spf("other.example", "fail"),
      dmarc: { result: "fail", spfAligned: false, disposition: "reject" },
    }));
    await dmarc.close();
    const tls = createTlsResultRecorder(options);
    const failure = {
      type: "certificate-expired",
      localIp: "",
      host: "mx.d.example",
      remoteIp: "",
      details: "a\u001b[31m",
    } as const;
    tls.record({ policy: noPolicy("d.example"), failure });
    await tls.close();
  }, (godwit) => body((...args) => godwit("report", ...args)));

Deno.test("list --outgoing shows what is gathered for whom, and what filters ask for", () =>
  withReports(async (godwit) => {
    const { status, lines } = await godwit("list", "--outgoing");
    assert.equal(status, 0);
    assert.deepEqual(columns(lines[1]).slice(0, 6), [
      "out-1",
      "dmarc",
      "example.org",
      "2026-01-05T00:00:00.000Z",
      "2026-01-06T00:00:00.000Z",
      "pending",
    ]);
    assert.equal(columns(lines[1])[7], "2");
    assert.equal(lines.length, 3);
    const ids = async (...args: string[]) =>
      JSON.parse((await godwit("list", "--outgoing", "--json", ...args)).lines[0]!).map(({ id }: { id: string }) => id);
    assert.deepEqual(await ids("--kind", "TLS"), ["out-2"]);
    assert.deepEqual(await ids("--domain", "Example.ORG"), ["out-1"]);
    assert.deepEqual(await ids("--state", "sent"), []);
    assert.deepEqual(await ids("--after", "out-1"), ["out-2"]);
    assert.deepEqual(await ids("--limit", "1"), ["out-1"]);
  }));

Deno.test("what list --outgoing does not understand is an error", () =>
  withReports(async (godwit) => {
    for (const args of [["--kind", "abuse"], ["--state", "late"], ["--limit", "0"]]) {
      const { status, errors } = await godwit("list", "--outgoing", ...args);
      assert.equal(status, 2);
      assert.match(errors[0] ?? "", /expected/);
    }
  }));

Deno.test("show prints what a report will say, the most frequent first, without control characters", () =>
  withReports(async (godwit) => {
    const { lines } = await godwit("show", "out-1");
    assert.ok(lines.includes("domain     example.org"));
    const rows = lines.slice(lines.indexOf("") + 2).map(columns);
    assert.deepEqual(rows[0], ["192.0.2.1", "3", "pass", "fail", "pass", "example.org", "example.org"]);
    assert.deepEqual(rows[1], ["198.51.100.9", "1", "reject", "fail", "fail", "example.org", "other.example"]);
    const tls = (await godwit("show", "out-2")).lines;
    assert.match(tls.at(-1) ?? "", /^no-policy-found +certificate-expired +1 +mx\.d\.example/);
    assert.ok(!tls.join("").includes("\u001b"));
    const json = JSON.parse((await godwit("show", "out-1", "--json")).lines[0]!);
    assert.equal(json.about.policy, "reject");
    assert.deepEqual(json.counted.map(({ count }: { count: number }) => count), [3, 1]);
    assert.equal((await godwit("show", "out-9")).status, 1);
  }));

Deno.test("cancel keeps a report from being sent, once", () =>
  withReports(async (godwit) => {
    const { status, lines, errors } = await godwit("cancel", "out-1", "out-7");
    assert.equal(status, 1);
    assert.deepEqual(lines, ["report out-1 is cancelled"]);
    assert.match(errors[0] ?? "", /out-7/);
    assert.equal(columns((await godwit("list", "--outgoing")).lines[1])[5], "cancelled");
    assert.equal((await godwit("cancel", "out-1")).status, 1);
    assert.equal((await godwit("cancel", "out-2", "01h00000000")).status, 2);
  }));
