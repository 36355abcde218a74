/** The management API under `/api`: JSON in and out, for administrators. */

import { Hono } from "hono";
import { banRoutes } from "./ban_routes.ts";
import type { HttpDependencies } from "./dependencies.ts";
import type { Exchange } from "./exchange.ts";
import { explainResponse } from "./explain_route.ts";
import { readMail } from "./mail_reader.ts";
import { outgoingReportRoutes } from "./outgoing_report_routes.ts";
import { problem } from "./problem.ts";
import { queueRoutes } from "./queue_routes.ts";
import { reportRoutes } from "./report_routes.ts";
import { fingerprint, statusSnapshot } from "./status/snapshot.ts";
import { traceResponse } from "./trace_route.ts";

/** Builds the routes, to be mounted at `/api`. */
export function apiRoutes(deps: HttpDependencies): Hono<{ Bindings: Exchange }> {
  const { queue, mailboxes, bans, receivedReports, outgoingReports, trace, explain } = deps;
  const app = new Hono<{ Bindings: Exchange }>();

  app.get("/status", async (c) => {
    const snapshot = await statusSnapshot(deps);
    const body = JSON.stringify({ ...snapshot, time: new Date(deps.clock.now()).toISOString() });
    const tag = `"${await fingerprint(snapshot)}"`;
    if (c.req.header("if-none-match") === tag) return new Response(null, { status: 304, headers: { etag: tag } });
    return new Response(body, { headers: { "content-type": "application/json", etag: tag } });
  });

  app.route("/queue", queueRoutes(queue, () => deps.clock.now()));

  if (bans !== undefined) app.route("/bans", banRoutes(bans));

  if (outgoingReports !== undefined) app.route("/reports/outgoing", outgoingReportRoutes(outgoingReports));

  if (receivedReports !== undefined) app.route("/reports", reportRoutes(receivedReports, () => deps.clock.now()));

  if (explain !== undefined) {
    app.get("/explain", (c) => explainResponse(explain, c.env.url.searchParams, c.req.raw));
    app.post("/explain", (c) => explainResponse(explain, c.env.url.searchParams, c.req.raw));
  }
  if (trace !== undefined) app.get("/trace", (c) => traceResponse(trace, c.env.url.searchParams));

  if (mailboxes !== undefined) {
    app.get("/mail", async (c) => c.json({ mailboxes: await mailboxes.list(), messages: await mailboxes.latest(100) }));
    app.get("/mail/:mailbox/:message", async (c) => {
      const bytes = await mailboxes.read(c.req.param("mailbox"), c.req.param("message"));
      return bytes === undefined ? problem(404, "There is no such message in this mailbox.") : c.json(readMail(bytes));
    });
  }

  return app;
}
