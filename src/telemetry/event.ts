/** The typed event catalogue: the one place that names what can happen. Logs, metrics and webhooks are fed from it. */

/** Level of an event or tracer. */
export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** A field of an event. Untrusted text is given as it is; sinks encode it. */
export type FieldValue = string | number | boolean | undefined | readonly (string | number)[];

/** Fields of an event, by name in camelCase, such as `{ id, remoteIp, from, to }`. */
export type EventFields = Readonly<Record<string, FieldValue>>;

/** Takes one event. Never throws and never blocks. */
export type Emit = (name: EventName, fields?: EventFields) => void;

/** Every event with its default level and what it means. Names are `area.name` (reference §12.1). */
export const EVENTS = {
  "server.startup": { level: "info", text: "godwit started" },
  "server.shutdown": { level: "info", text: "godwit stopped" },
} as const satisfies Record<string, { level: Level; text: string }>;

/** Name of an event. */
export type EventName = keyof typeof EVENTS;
