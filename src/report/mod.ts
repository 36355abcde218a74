/**
 * Reports: what senders, domain owners and administrators are told about mail.
 *
 * @module
 */

export { findDestinations, type FoundDestinations, readDestination, type ReportDestination } from "./destination.ts";
export { createDsnBuilder, type DsnBuilder, type DsnOptions } from "./dsn.ts";
export { type BodyPart, bytesOf } from "./body_part.ts";
export { type ReportMail, reportMessage, type ReportMessageOptions } from "./report_mail.ts";
