/** Routes of the pages about reports of others. */

import type { Hono } from "hono";
import type { ReceivedReports } from "../../report/mod.ts";
import type { Exchange } from "../exchange.ts";
import { problem } from "../problem.ts";
import { readDays } from "../report_routes.ts";
import type { ShowPage } from "./layout.ts";
import { reportPage } from "./report_page.ts";
import { reportsPage } from "./reports_page.ts";

/** Reports in the list. */
const MOST_LISTED = 25;

/** Adds the routes. */
export function addReportPages(
  app: Hono<{ Bindings: Exchange }>,
  reports: ReceivedReports,
  show: ShowPage,
  now: () => number,
): void {
  app.get("/reports", async (c) => {
    const query = c.env.url.searchParams;
    const days = readDays(query) ?? 30;
    const domain = (query.get("domain") ?? "").trim().slice(0, 255);
    const about = domain === "" ? {} : { domain };
    const [trends, latest] = await Promise.all([
      reports.trends(days, about.domain),
      reports.list({ limit: MOST_LISTED, ...about }),
    ]);
    return show({ title: "Reports", at: "reports" }, reportsPage({ trends, latest, days, domain }, now()));
  });

  app.get("/reports/:id", async (c) => {
    const detail = await reports.show(c.req.param("id"));
    if (detail === undefined) return problem(404, "There is no such report.");
    return show({ title: `Report of ${detail.reporter.slice(0, 60)}`, at: "reports" }, reportPage(detail, now()));
  });

  app.post("/reports/:id/delete", async (c) => {
    if (!await reports.remove(c.req.param("id"))) return problem(404, "There is no such report.");
    return c.redirect("/reports", 303);
  });
}
