/**
 * Telemetry: one catalogue of events feeds log lines, counters and whoever observes.
 *
 * Emitting is cheap: an event that nobody logs costs a look-up and an addition. Lines wait in a bounded buffer and are
 * written in batches within a tenth of a second, so a slow disk or terminal never holds up mail.
 *
 * ```ts
 * const telemetry = createTelemetry({ tracers: [], eventLevels: new Map(), disabledMetricEvents: [] });
 * telemetry.emit("queue.queue-message", { id: "1a2b", from: "ana@example.net", to: ["bo@example.org"], size: 1024 });
 * await telemetry.close();
 * ```
 *
 * @module
 */

export { type Emit, type EventFields, type EventName, EVENTS, type FieldValue, type Level } from "./event.ts";
export {
  createDialogueTrace,
  type DialogueTrace,
  type Follower,
  type TraceFilter,
  type TraceRecord,
} from "./dialogue_trace.ts";
export { encodeAddress, encodeText } from "./encode.ts";
export { formatTime } from "./line.ts";
export { type ByteWriter, logFileName, type Rotation } from "./log_file.ts";
export type { GaugeReading, ReadGauge } from "./metrics.ts";
export {
  createTelemetry,
  type ObservedEvent,
  type Telemetry,
  type TelemetryOptions,
  type TelemetrySettings,
} from "./telemetry.ts";
export { rawLog } from "./raw_log.ts";
export type { Wire, WireLine, WireTap } from "./wire.ts";
