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
export { type AggregateKind, purgeAggregates, REPORT_STATES, type ReportState } from "./aggregate/ledger.ts";
export {
  isOutgoingId,
  type OutgoingCount,
  type OutgoingReportDetail,
  type OutgoingReportFilter,
  type OutgoingReports,
  outgoingReports,
  type OutgoingReportView,
} from "./aggregate/outgoing.ts";
export { type AggregatePost, type MadeReport, type MakingWorld, type Reporter } from "./aggregate/made.ts";
export { type Sending, type SendingOptions, startSending } from "./aggregate/sending.ts";
export { createDmarcRecorder, type DmarcRecorder } from "./dmarc/recorder.ts";
export { makeDmarcReport } from "./dmarc/report.ts";
export { createTlsResultRecorder, type TlsResultRecorder } from "./tls/recorder.ts";
export { makeTlsReport } from "./tls/report.ts";
export { createSubmission, type SubmitOptions } from "./tls/submit.ts";
export { type FailureCase, failureCases, type FailureKind } from "./failure/case.ts";
export type { FailedMessage, MessageFate } from "./failure/feedback.ts";
export { createFailureReports, type FailureReports, type FailureSettings } from "./failure/sending.ts";
export { createDsnBuilder, type DsnBuilder, type DsnOptions } from "./dsn.ts";
export { type BodyPart, bytesOf } from "./body_part.ts";
export { type ReportMail, reportMessage, type ReportMessageOptions } from "./report_mail.ts";
