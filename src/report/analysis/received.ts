/** Received reports as administrators handle them. */

import type { Clock } from "../../clock/mod.ts";
import type { Store } from "../../store/mod.ts";
import {
  deleteReport,
  listReports,
  type ReportDetail,
  type ReportFilter,
  type ReportView,
  showReport,
} from "./report_rows.ts";
import { type ReportTrends, reportTrends } from "./trends.ts";

/** Looks at received reports and deletes them. Everything rejects with `StoreUnavailable` if the store is away. */
export interface ReceivedReports {
  /** The latest first. */
  list(filter: ReportFilter): Promise<readonly ReportView[]>;
  show(id: string): Promise<ReportDetail | undefined>;
  /** @returns false if there is no such report */
  remove(id: string): Promise<boolean>;
  /**
   * Sums over the last days; up to a minute old.
   *
   * @param days 1 to 400
   * @param domain only what is about this domain
   */
  trends(days: number, domain?: string): Promise<ReportTrends>;
}

/** How long sums are good for, milliseconds; they are asked for by pages that refresh and by metrics. */
const FRESH = 60_000;
const MOST_SUMS = 50;

/** The reports in a store. */
export function receivedReports(store: Store, clock: Clock): ReceivedReports {
  const sums = new Map<string, { readonly at: number; readonly trends: Promise<ReportTrends> }>();
  return {
    list: (filter) => listReports(store, filter),
    show: (id) => showReport(store, id),
    remove(id) {
      sums.clear();
      return deleteReport(store, id);
    },
    trends(days, domain) {
      const now = clock.now();
      const key = `${days} ${domain ?? ""}`;
      const known = sums.get(key);
      if (known !== undefined && now - known.at < FRESH) return known.trends;
      if (sums.size >= MOST_SUMS) sums.clear();
      const trends = reportTrends(store, { days, now, ...(domain === undefined ? {} : { domain }) });
      sums.set(key, { at: now, trends });
      trends.catch(() => sums.delete(key));
      return trends;
    },
  };
}
