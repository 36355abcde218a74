import assert from "node:assert/strict";
import { createTelemetry, logFileName } from "../../../src/telemetry/mod.ts";
import type { TracerConfig } from "../../../src/config/config.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const NOON = Date.UTC(2026, 0, 5, 12, 30, 40);

function logTracer(path: string, rotate: TracerConfig["rotate"]): TracerConfig {
  return {
    id: "file",
    type: "log",
    level: "info",
    enable: true,
    ansi: false,
    multiline: false,
    path,
    prefix: "mta",
    rotate,
    lossy: false,
  };
}

const silent = { write: (bytes: Uint8Array) => Promise.resolve(bytes.length) };

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function files(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  return names.sort();
}

Deno.test("files are named by their period in UTC", () => {
  assert.equal(logFileName("mta", "minutely", NOON), "mta.2026-01-05-12-30.log");
  assert.equal(logFileName("mta", "hourly", NOON), "mta.2026-01-05-12.log");
  assert.equal(logFileName("mta", "daily", NOON), "mta.2026-01-05.log");
  assert.equal(logFileName("mta", "never", NOON), "mta.log");
});

for (
  const [rotate, step, names] of [
    ["minutely", 60_000, ["mta.2026-01-05-12-30.log", "mta.2026-01-05-12-31.log"]],
    ["hourly", 3_600_000, ["mta.2026-01-05-12.log", "mta.2026-01-05-13.log"]],
    ["daily", 86_400_000, ["mta.2026-01-05.log", "mta.2026-01-06.log"]],
    ["never", 86_400_000, ["mta.log"]],
  ] as const
) {
  Deno.test(`rotation ${rotate}: a line is in the file of the time it happened, though written later`, async () => {
    await inFolder(async (folder) => {
      let now = NOON;
      // Time passes and no timer fires, so that both lines wait in the same buffer.
      const clock = { now: () => now, after: () => ({ cancel: () => {} }) };
      const telemetry = createTelemetry({
        tracers: [logTracer(`${folder}/deep/logs`, rotate)],
        eventLevels: new Map(),
        disabledMetricEvents: [],
        clock,
        stderr: silent,
      });
      telemetry.emit("server.startup");
      now += step;
      telemetry.emit("server.shutdown");
      await telemetry.close();
      assert.deepEqual(await files(`${folder}/deep/logs`), [...names]);
      const last = await Deno.readTextFile(`${folder}/deep/logs/${names[names.length - 1]}`);
      assert.match(last, /Z INFO {2}godwit stopped \(server\.shutdown\)\n$/);
    });
  });
}

Deno.test("a log file is appended to, and only owner and group may read it", async () => {
  await inFolder(async (folder) => {
    for (let run = 0; run < 2; run++) {
      const telemetry = createTelemetry({
        tracers: [logTracer(folder, "never")],
        eventLevels: new Map(),
        disabledMetricEvents: [],
        clock: new FakeClock(NOON),
        stderr: silent,
      });
      telemetry.emit("server.startup");
      await telemetry.close();
    }
    assert.equal((await Deno.readTextFile(`${folder}/mta.log`)).split("\n").length, 3);
    const { mode } = await Deno.stat(`${folder}/mta.log`);
    assert.equal((mode ?? 0) & 0o007, 0);
  });
});

Deno.test("a folder that cannot be made is told on standard error, and the program goes on", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    let told = "";
    const telemetry = createTelemetry({
      tracers: [logTracer(`${folder}/file/logs`, "daily")],
      eventLevels: new Map(),
      disabledMetricEvents: [],
      clock: new FakeClock(NOON),
      stderr: {
        write(bytes) {
          told += new TextDecoder().decode(bytes);
          return Promise.resolve(bytes.length);
        },
      },
    });
    telemetry.emit("server.startup");
    await telemetry.close();
    assert.match(
      told,
      /^2026-01-05T12:30:40\.000Z ERROR Log could not be written \(telemetry\.log-error\) tracer=file/,
    );
  });
});
