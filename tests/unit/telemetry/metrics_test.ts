import assert from "node:assert/strict";
import { createTelemetry, type Telemetry } from "../../../src/telemetry/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const silent = { write: (bytes: Uint8Array) => Promise.resolve(bytes.length) };

function start(disabledMetricEvents: string[] = []): { telemetry: Telemetry; clock: FakeClock } {
  const clock = new FakeClock();
  const telemetry = createTelemetry({
    tracers: [],
    eventLevels: new Map(),
    disabledMetricEvents,
    clock,
    stdout: silent,
    stderr: silent,
  });
  return { telemetry, clock };
}

Deno.test("events are counted by name whether or not they are logged", async () => {
  const { telemetry } = start();
  telemetry.emit("smtp.raw-input");
  telemetry.emit("smtp.raw-input");
  telemetry.emit("server.startup");
  const text = await telemetry.metricsText();
  assert.match(text, /^# TYPE godwit_events_total counter$/m);
  assert.match(text, /^godwit_events_total\{event="smtp\.raw-input"\} 2$/m);
  assert.match(text, /^godwit_events_total\{event="server\.startup"\} 1$/m);
  assert.match(text, /^godwit_events_total\{event="auth\.failed"\} 0$/m);
  assert.doesNotMatch(text, /event="smtp\.raw-output"/, "chatter that never happened");
  assert.match(await telemetry.metricsText(), /^godwit_events_total\{event="smtp\.raw-input"\} 2$/m);
  await telemetry.close();
});

Deno.test("disabled events are not counted", async () => {
  const { telemetry } = start(["smtp.*", "server.startup"]);
  await telemetry.collectDurations();
  telemetry.emit("smtp.ehlo");
  telemetry.emit("smtp.connection-end", { elapsed: 1000 });
  telemetry.emit("server.startup");
  telemetry.emit("server.shutdown");
  const text = await telemetry.metricsText();
  assert.doesNotMatch(text, /event="smtp\./);
  assert.doesNotMatch(text, /server\.startup"/);
  assert.match(text, /event="server\.shutdown"\} 1/);
  assert.match(text, /^godwit_session_duration_seconds_count 0$/m);
  await telemetry.close();
});

Deno.test("elapsed milliseconds fill the histograms in seconds", async () => {
  const { telemetry } = start();
  await telemetry.collectDurations();
  telemetry.emit("delivery.delivered", { elapsed: 250 });
  telemetry.emit("delivery.delivered", { elapsed: 20_000 });
  telemetry.emit("delivery.delivered", {});
  telemetry.emit("smtp.connection-end", { elapsed: 3 });
  const text = await telemetry.metricsText();
  assert.match(text, /^godwit_delivery_duration_seconds_bucket\{le="0\.5"\} 1$/m);
  assert.match(text, /^godwit_delivery_duration_seconds_bucket\{le="60"\} 2$/m);
  assert.match(text, /^godwit_delivery_duration_seconds_sum 20\.25$/m);
  assert.match(text, /^godwit_session_duration_seconds_bucket\{le="0\.005"\} 1$/m);
  await telemetry.close();
});

Deno.test("gauges are read when asked for, with labels, and label values are escaped", async () => {
  const { telemetry } = start();
  let depth = 3;
  telemetry.registerGauge("godwit_ready", "Ready for mail", () => 1);
  telemetry.registerGauge(
    "godwit_queue_recipients",
    "Recipients",
    () => Promise.resolve([{ labels: { queue: 're"mote', state: "queued" }, value: depth }]),
    ["queue", "state"],
  );
  assert.match(await telemetry.metricsText(), /^godwit_queue_recipients\{queue="re\\"mote",state="queued"\} 3$/m);
  depth = 4;
  const text = await telemetry.metricsText();
  assert.match(text, /^godwit_ready 1$/m);
  assert.match(text, /^godwit_queue_recipients\{queue="re\\"mote",state="queued"\} 4$/m);
  await telemetry.close();
});

Deno.test("a gauge that fails or stalls is left out and the others are served", async () => {
  const { telemetry, clock } = start();
  telemetry.registerGauge("godwit_broken", "Broken", () => {
    throw new Error("store is away");
  });
  telemetry.registerGauge("godwit_stalled", "Stalled", () => new Promise(() => {}));
  telemetry.registerGauge("godwit_fine", "Fine", () => 5);
  await telemetry.collectDurations();
  const asked = telemetry.metricsText();
  await settle();
  await clock.advance(2000);
  const text = await asked;
  assert.doesNotMatch(text, /^godwit_(broken|stalled) /m);
  assert.match(text, /^godwit_fine 5$/m);
  assert.equal(telemetry.count("telemetry.prometheus-exporter-error"), 2);
  await telemetry.close();
});

Deno.test("resident memory is always there", async () => {
  const { telemetry } = start();
  assert.match(await telemetry.metricsText(), /^process_resident_memory_bytes [1-9]\d{6,}$/m);
  await telemetry.close();
});
