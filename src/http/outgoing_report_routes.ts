/** Aggregate reports for others in the management API: list, show, cancel. */

import { Hono } from "hono";
import { type OutgoingReportFilter, type OutgoingReports, REPORT_STATES } from "../report/mod.ts";
import type { Exchange } from "./exchange.ts";
import { problem } from "./problem.ts";
import { ID, type Reading, wrong } from "./queue_filter.ts";

const NAMES = ["kind", "domain", "state", "limit", "after"];
const MOST_REPORTS = 1000;

/** Builds the routes, to be mounted at `/api/reports/outgoing`. */
export function outgoingReportRoutes(reports: OutgoingReports): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();

  app.get("/", async (c) => {
    const filter = readFilter(c.env.url.searchParams);
    return filter.kind === "wrong"
      ? problem(400, filter.detail)
      : c.json({ reports: await reports.list(filter.value) });
  });

  app.get("/:id", async (c) => {
    const report = await reports.show(c.req.param("id"));
    return report === undefined ? noReport(c.req.param("id")) : c.json(report);
  });

  app.delete("/:id", async (c) => {
    const id = c.req.param("id");
    return await reports.cancel(id) ? c.json({ id, action: "cancel" }) : noReport(id);
  });

  return app;
}

function noReport(id: string): Response {
  return problem(404, `No report ${id.slice(0, 40)} waits.`);
}

function readFilter(query: URLSearchParams): Reading<OutgoingReportFilter> {
  for (const name of query.keys()) {
    if (!NAMES.includes(name)) return wrong(`Unknown parameter ${name}; known are ${NAMES.join(", ")}.`);
  }
  const given = (name: string) => query.get(name) ?? undefined;
  const kind = given("kind");
  if (kind !== undefined && kind !== "dmarc" && kind !== "tls") {
    return wrong(`kind must be dmarc or tls, found ${kind}.`);
  }
  const state = REPORT_STATES.find((known) => known === given("state"));
  if (query.has("state") && state === undefined) {
    return wrong(`state must be one of ${REPORT_STATES.join(", ")}, found ${given("state")}.`);
  }
  const limit = Number(given("limit") ?? "100");
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_REPORTS) {
    return wrong(`limit must be a whole number from 1 to ${MOST_REPORTS}, found ${given("limit")}.`);
  }
  const [after, domain] = [given("after"), given("domain")];
  if (after !== undefined && !ID.test(after)) return wrong("after must be the id of a report.");
  return {
    kind: "read",
    value: {
      limit,
      ...(kind !== undefined && { kind }),
      ...(domain !== undefined && { domain: domain.toLowerCase() }),
      ...(state !== undefined && { state }),
      ...(after !== undefined && { after }),
    },
  };
}
