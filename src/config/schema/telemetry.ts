/** Keys of tracers, metrics, webhooks and HTTP. */

import { bool, choice, dur, entriesOf, filled, headerLine, listOf, rate, text, url } from "../value_type.ts";
import { asInt, asText } from "./setting_shape.ts";
import { allLater, key, later, only, optional, required, setting } from "./spec.ts";

const TEXTUAL = ["console", "stdout", "log"];
const LOG = ["log"];
const OTEL = ["open-telemetry"];

export const telemetryKeys = {
  "tracer.<id>.type": required(choice("console", "stdout", "log", "journal", "open-telemetry")),
  "tracer.<id>.level": key(choice("error", "warn", "info", "debug", "trace", "disable"), "info"),
  "tracer.<id>.enable": key(bool, true),
  "tracer.<id>.ansi": only(TEXTUAL, key(bool, false)),
  "tracer.<id>.multiline": only(TEXTUAL, key(bool, false)),
  "tracer.<id>.path": only(LOG, required(filled)),
  "tracer.<id>.prefix": only(LOG, key(filled, "godwit")),
  "tracer.<id>.rotate": only(LOG, key(choice("minutely", "hourly", "daily", "never"), "daily")),
  "tracer.<id>.lossy": only([...LOG, ...OTEL], key(bool, false)),
  ...allLater({
    "tracer.<id>.transport": only(OTEL, required(choice("grpc", "http"))),
    "tracer.<id>.endpoint": only(OTEL, optional(url("http", "https"))),
    "tracer.<id>.headers": only(OTEL, key(listOf(headerLine), [])),
    "tracer.<id>.enable.span-exporter": only(OTEL, key(bool, true)),
    "tracer.<id>.enable.log-exporter": only(OTEL, key(bool, false)),
    "tracer.<id>.throttle": only(OTEL, key(dur, "1s")),
  }),
  "tracing.level": key(entriesOf(choice("error", "warn", "info", "debug", "trace", "disable")), {}),
  "metrics.prometheus.enable": key(bool, false),
  "metrics.prometheus.auth.username": optional(filled),
  "metrics.prometheus.auth.secret": optional(filled),
  "metrics.open-telemetry.transport": later(key(choice("grpc", "http", "disable"), "disable"), "disable"),
  "metrics.open-telemetry.endpoint": later(optional(url("http", "https"))),
  "metrics.open-telemetry.interval": later(key(dur, "1m")),
  "metrics.open-telemetry.headers": later(key(listOf(headerLine), [])),
  "metrics.disabled-events": key(listOf(filled), []),
  ...allLater({
    "webhook.<id>.url": required(url("http", "https")),
    "webhook.<id>.events": required(listOf(filled)),
    "webhook.<id>.enable": key(bool, true),
    "webhook.<id>.timeout": key(dur, "30s"),
    "webhook.<id>.throttle": key(dur, "1s"),
    "webhook.<id>.signature-key": optional(text),
    "webhook.<id>.headers": key(listOf(headerLine), []),
    "webhook.<id>.auth.username": optional(filled),
    "webhook.<id>.auth.secret": optional(filled),
    "webhook.<id>.allow-invalid-certs": key(bool, false),
    "webhook.<id>.lossy": key(bool, false),
  }),
};

export const httpKeys = {
  "http.auth.token": optional(filled),
  "authentication.fallback-admin.user": optional(filled),
  "authentication.fallback-admin.secret": optional(filled),
  "http.url": setting("http", asText, "protocol + '://' + config_get('server.hostname') + ':' + local_port"),
  "http.allowed-endpoint": setting("http", asInt, 200),
  "http.headers": key(listOf(headerLine), []),
  "http.use-x-forwarded": key(bool, false),
  "http.hsts": key(bool, false),
  "http.permissive-cors": key(bool, false),
  "http.rate-limit.anonymous": key(rate, "100/1m"),
  "http.rate-limit.account": key(rate, "1000/1m"),
};
