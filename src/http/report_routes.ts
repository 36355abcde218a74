/** The reports of others in the management API: list, show, add up, delete. */

import { Hono } from "hono";
import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import { type ReceivedReports, REPORT_KINDS, type ReportFilter } from "../report/mod.ts";
import type { Exchange } from "./exchange.ts";
import { problem } from "./problem.ts";
import { ID, type Reading, wrong } from "./queue_filter.ts";

const NAMES = [
  "kind",
  "domain",
  "reporter",
  "source",
  "failing",
  "older-than",
  "younger-than",
  "limit",
  "after",
];
const MOST_REPORTS = 1000;
const MOST_DAYS = 400;

/** Builds the routes, to be mounted at `/api/reports`. */
export function reportRoutes(reports: ReceivedReports, now: () => number): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();

  app.get("/incoming", async (c) => {
    const filter = readReportFilter(c.env.url.searchParams, now());
    return filter.kind === "wrong"
      ? problem(400, filter.detail)
      : c.json({ reports: await reports.list(filter.value) });
  });

  app.get("/incoming/:id", async (c) => {
    const report = await reports.show(c.req.param("id"));
    return report === undefined ? noReport(c.req.param("id")) : c.json(report);
  });

  app.delete("/incoming/:id", async (c) => {
    const id = c.req.param("id");
    return await reports.remove(id) ? c.json({ id, action: "delete" }) : noReport(id);
  });

  app.get("/trends", async (c) => {
    const days = readDays(c.env.url.searchParams);
    if (days === undefined) return problem(400, `days must be a whole number from 1 to ${MOST_DAYS}.`);
    return c.json(await reports.trends(days, c.env.url.searchParams.get("domain") ?? undefined));
  });

  return app;
}

/** The number of days that a request wants to see, 30 unless it says so; undefined if that is none. */
export function readDays(query: URLSearchParams): number | undefined {
  const days = Number(query.get("days") ?? "30");
  return Number.isSafeInteger(days) && days >= 1 && days <= MOST_DAYS ? days : undefined;
}

function noReport(id: string): Response {
  return problem(404, `There is no report ${id.slice(0, 40)}.`);
}

function readReportFilter(query: URLSearchParams, now: number): Reading<ReportFilter> {
  for (const name of query.keys()) {
    if (!NAMES.includes(name)) return wrong(`Unknown parameter ${name}; known are ${NAMES.join(", ")}.`);
  }
  const given = (name: string) => query.get(name) ?? undefined;
  const kind = REPORT_KINDS.find((known) => known === given("kind"));
  if (query.has("kind") && kind === undefined) {
    return wrong(`kind must be one of ${REPORT_KINDS.join(", ")}, found ${given("kind")}.`);
  }
  if (query.has("failing") && given("failing") !== "true") {
    return wrong(`failing must be true or left out, found ${given("failing")}.`);
  }
  const limit = Number(given("limit") ?? "100");
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_REPORTS) {
    return wrong(`limit must be a whole number from 1 to ${MOST_REPORTS}, found ${given("limit")}.`);
  }
  const after = given("after");
  if (after !== undefined && !ID.test(after)) return wrong("after must be the id of a report.");
  const times: { since?: number; until?: number } = {};
  for (const [name, key] of [["older-than", "until"], ["younger-than", "since"]] as const) {
    const value = given(name);
    if (value === undefined) continue;
    const age = parseDuration(value);
    if (age === undefined) return wrong(`${name} must be ${DURATION_SYNTAX}, found ${value}.`);
    times[key] = now - age;
  }
  const [domain, reporter, source] = [given("domain"), given("reporter"), given("source")];
  return {
    kind: "read",
    value: {
      limit,
      ...(kind !== undefined && { kind }),
      ...(query.has("failing") && { failing: true }),
      ...(after !== undefined && { after }),
      ...(domain !== undefined && { domain }),
      ...(reporter !== undefined && { reporter }),
      ...(source !== undefined && { source }),
      ...times,
    },
  };
}
