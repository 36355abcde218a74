import assert from "node:assert/strict";
import { type ByteWriter, createTelemetry, type Telemetry, type TelemetryOptions } from "../../../src/telemetry/mod.ts";
import type { TracerConfig } from "../../../src/config/config.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

function tracer(changes: Partial<TracerConfig> = {}): TracerConfig {
  return {
    id: "t",
    type: "console",
    level: "info",
    enable: true,
    ansi: false,
    multiline: false,
    path: "",
    prefix: "godwit",
    rotate: "daily",
    lossy: false,
    ...changes,
  };
}

/** A writer that keeps what it is given; `hold` makes it wait, `fail` makes it reject. */
class Paper implements ByteWriter {
  text = "";
  writes = 0;
  hold: Promise<void> | undefined;
  fail: Error | undefined;
  /** Most bytes taken at once. */
  portion = Number.POSITIVE_INFINITY;

  async write(bytes: Uint8Array): Promise<number> {
    await this.hold;
    if (this.fail !== undefined) throw this.fail;
    const taken = bytes.subarray(0, this.portion);
    this.writes++;
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

function start(options: Partial<TelemetryOptions> = {}): {
  telemetry: Telemetry;
  clock: FakeClock;
  out: Paper;
  err: Paper;
} {
  const clock = new FakeClock();
  const out = new Paper();
  const err = new Paper();
  const telemetry = createTelemetry({
    tracers: [tracer()],
    eventLevels: new Map(),
    disabledMetricEvents: [],
    clock,
    stdout: out,
    stderr: err,
    noColor: false,
    ...options,
  });
  return { telemetry, clock, out, err };
}

Deno.test("an event is one line: time, level, text, name, fields", async () => {
  const { telemetry, err } = start();
  telemetry.emit("queue.queue-message", {
    id: "1a2b",
    from: "a@b.example",
    to: ["c@d.example"],
    size: 1024,
    note: undefined,
  });
  await telemetry.close();
  assert.equal(
    err.text,
    "2026-01-05T12:00:00.000Z INFO  Message queued (queue.queue-message) " +
      "id=1a2b from=<a@b.example> to=<c@d.example> size=1024\n",
  );
});

Deno.test("hostile fields stay inside their line", async () => {
  const { telemetry, err } = start();
  telemetry.emit("auth.failed", { "acc\nount": "x", account: "eve\r\nFAKE\x1b[31m" });
  await telemetry.close();
  assert.equal(
    err.text,
    '2026-01-05T12:00:00.000Z INFO  Login refused (auth.failed) "acc\\nount"=x account="eve\\r\\nFAKE\\u001b[31m"\n',
  );
});

Deno.test("without any tracer the console gets events from info up", async () => {
  const { telemetry, out, err } = start({ tracers: [] });
  telemetry.emit("server.startup");
  telemetry.emit("smtp.ehlo");
  await telemetry.close();
  assert.equal(err.lines.length, 1);
  assert.equal(out.text, "");
});

Deno.test("a tracer that is not enabled, or disabled by its level, writes nothing", async () => {
  const { telemetry, out, err } = start({
    tracers: [tracer({ enable: false }), tracer({ type: "stdout", level: "disable" })],
  });
  telemetry.emit("server.reload-error");
  await telemetry.close();
  assert.equal(err.text + out.text, "");
});

Deno.test("each tracer has its own level", async () => {
  const { telemetry, out, err } = start({
    tracers: [tracer({ id: "a", level: "error" }), tracer({ id: "b", type: "stdout", level: "trace" })],
  });
  telemetry.emit("store.unavailable");
  telemetry.emit("server.startup");
  telemetry.emit("smtp.raw-input");
  await telemetry.close();
  assert.deepEqual(err.lines.map((line) => line.slice(25, 30)), ["ERROR"]);
  assert.deepEqual(out.lines.map((line) => line.slice(25, 30)), ["ERROR", "INFO ", "TRACE"]);
});

Deno.test("the level of one event can be raised, lowered or disabled, by name or glob", async () => {
  const { telemetry, err } = start({
    eventLevels: new Map([["smtp.ehlo", "warn"], ["server.startup", "debug"], ["auth.*", "disable"], [
      "auth.error",
      "error",
    ]]),
  });
  telemetry.emit("smtp.ehlo");
  telemetry.emit("server.startup");
  telemetry.emit("auth.failed");
  telemetry.emit("auth.error");
  await telemetry.close();
  assert.deepEqual(err.lines.map((line) => line.slice(25)), [
    "WARN  Client named itself (smtp.ehlo)",
    "ERROR Login could not be checked (auth.error)",
  ]);
});

Deno.test("multiline puts each field on a line of its own", async () => {
  const { telemetry, err } = start({ tracers: [tracer({ multiline: true })] });
  telemetry.emit("delivery.delivered", { id: "7", host: "mx.example" });
  await telemetry.close();
  assert.equal(
    err.text,
    "2026-01-05T12:00:00.000Z INFO  Delivered (delivery.delivered)\n    id=7\n    host=mx.example\n",
  );
});

Deno.test("colours appear when asked for, and never with NO_COLOR", async () => {
  const coloured = start({ tracers: [tracer({ ansi: true })] });
  coloured.telemetry.emit("server.startup");
  await coloured.telemetry.close();
  assert.ok(coloured.err.text.includes("\x1b[32mINFO \x1b[0m"));

  const plain = start({ tracers: [tracer({ ansi: true })], noColor: true });
  plain.telemetry.emit("server.startup");
  await plain.telemetry.close();
  assert.ok(!plain.err.text.includes("\x1b"));
});

Deno.test("lines wait for a tenth of a second and go out in one write", async () => {
  const { telemetry, clock, err } = start();
  for (let i = 0; i < 10; i++) telemetry.emit("server.startup");
  await clock.advance(99);
  assert.equal(err.writes, 0);
  await clock.advance(1);
  assert.equal(err.writes, 1);
  assert.equal(err.lines.length, 10);
  await telemetry.close();
});

Deno.test("64 KB of lines go out without waiting", async () => {
  const { telemetry, err } = start();
  for (let i = 0; i < 70; i++) telemetry.emit("server.startup", { filler: "x".repeat(1000) });
  await settle();
  assert.ok(err.lines.length > 60);
  await telemetry.close();
  assert.equal(err.lines.length, 70);
});

Deno.test("a writer that takes a few bytes at a time gets every byte in order", async () => {
  const { telemetry, err } = start();
  err.portion = 7;
  telemetry.emit("server.startup", { n: 1 });
  telemetry.emit("server.shutdown", { n: 2 });
  await telemetry.close();
  assert.deepEqual(err.lines.map((line) => line.slice(-3)), ["n=1", "n=2"]);
});

Deno.test("a lossy tracer drops when its writer stalls, and says how many", async () => {
  const { telemetry, clock, err } = start({ tracers: [tracer({ lossy: true })] });
  let release = () => {};
  err.hold = new Promise((resolve) => release = resolve);
  const filler = "x".repeat(1000);
  for (let i = 0; i < 3000; i++) telemetry.emit("server.startup", { filler });
  err.hold = undefined;
  release();
  await telemetry.flush();
  await clock.advance(1000);
  await telemetry.close();
  const kept = err.lines.filter((line) => line.includes("(server.startup)")).length;
  assert.ok(kept > 900 && kept < 1100, `${kept} lines kept`);
  const report = err.lines.find((line) => line.includes("telemetry.records-dropped"));
  assert.match(report ?? "", new RegExp(`tracer=t count=${3000 - kept}$`));
});

Deno.test("a writer that fails is tried again, and no line is lost", async () => {
  const { telemetry, clock, err } = start();
  err.fail = new Error("No space left on device");
  telemetry.emit("server.startup");
  await clock.advance(100);
  assert.equal(telemetry.count("telemetry.log-error"), 1);
  await clock.advance(5000);
  assert.equal(telemetry.count("telemetry.log-error"), 1, "reported once a minute");
  err.fail = undefined;
  await clock.advance(1000);
  assert.ok(err.lines.some((line) => line.includes("server.startup")));
  assert.ok(err.lines.some((line) => line.includes("telemetry.log-error")));
  await telemetry.close();
});

Deno.test("closing does not hang on a broken writer and silences later events", async () => {
  const { telemetry, clock, err } = start();
  err.fail = new Error("Broken pipe");
  telemetry.emit("server.startup");
  await telemetry.close();
  telemetry.emit("server.shutdown");
  assert.equal(err.text, "");
  assert.equal(clock.pending, 0);
});

Deno.test("closing waits two seconds for a writer that does not answer", async () => {
  const { telemetry, clock, err } = start();
  err.hold = new Promise(() => {});
  telemetry.emit("server.startup");
  let isClosed = false;
  const closed = telemetry.close().then(() => isClosed = true);
  await clock.advance(1999);
  assert.equal(isClosed, false);
  await clock.advance(1);
  await closed;
});

Deno.test("reconfiguring replaces tracers and levels, keeps counts, and writes what was waiting", async () => {
  const { telemetry, out, err } = start();
  telemetry.emit("server.startup");
  await telemetry.reconfigure({
    tracers: [tracer({ type: "stdout", level: "debug" })],
    eventLevels: new Map([["server.startup", "trace"]]),
    disabledMetricEvents: [],
  });
  telemetry.emit("server.startup");
  telemetry.emit("smtp.ehlo");
  await telemetry.close();
  assert.equal(err.lines.length, 1);
  assert.deepEqual(out.lines.map((line) => line.slice(25)), ["DEBUG Client named itself (smtp.ehlo)"]);
  assert.equal(telemetry.count("server.startup"), 2);
});

Deno.test("two instances in one process do not see each other's events", async () => {
  const first = start();
  const second = start();
  first.telemetry.emit("server.startup");
  await first.telemetry.close();
  second.telemetry.emit("server.shutdown");
  await second.telemetry.close();
  assert.equal(first.err.lines.length, 1);
  assert.equal(second.err.lines.length, 1);
  assert.match(second.err.text, /server\.shutdown/);
});

Deno.test("observers see the named events whatever their level, until they stop", async () => {
  const { telemetry } = start();
  const seen: string[] = [];
  const stop = telemetry.observe(["smtp.*", "server.startup"], (event) => {
    seen.push(`${event.name} ${event.time} ${event.fields.n}`);
    throw new Error("must not reach who emits");
  });
  telemetry.emit("smtp.raw-input", { n: 1 });
  telemetry.emit("server.startup", { n: 2 });
  telemetry.emit("server.shutdown", { n: 3 });
  stop();
  telemetry.emit("smtp.raw-input", { n: 4 });
  await telemetry.close();
  const noon = Date.UTC(2026, 0, 5, 12);
  assert.deepEqual(seen, [`smtp.raw-input ${noon} 1`, `server.startup ${noon} 2`]);
});
