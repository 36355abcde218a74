/**
 * Reports: what senders, domain owners and administrators are told about mail.
 *
 * @module
 */

export {
  createReportAnalysis,
  type ReportAnalysis,
  type ReportAnalysisOptions,
  type ReportMailArrival,
} from "./analysis/analysis.ts";
export { type IncomingReport, REPORT_KINDS, type ReportKind } from "./analysis/incoming.ts";
export {
  deleteReport,
  listReports,
  purgeReports,
  type ReportCarrier,
  type ReportDetail,
  type ReportFilter,
  type ReportView,
  showReport,
} from "./analysis/report_rows.ts";
export { type ReceivedReports, receivedReports } from "./analysis/received.ts";
export { type ReportTrends, reportTrends, type TrendDay, type TrendFailure } from "./analysis/trends.ts";
export { findDestinations, type FoundDestinations, readDestination, type ReportDestination } from "./destination.ts";
export { createDsnBuilder, type DsnBuilder, type DsnOptions } from "./dsn.ts";
export { type BodyPart, bytesOf } from "./body_part.ts";
export { type ReportMail, reportMessage, type ReportMessageOptions } from "./report_mail.ts";
