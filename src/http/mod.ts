/**
 * HTTP: the status page, health probes, metrics and the management API, as one app that answers requests, and the
 * listener that brings it to a port.
 *
 * @module
 */

export { createHttpApp, type HttpApp } from "./app.ts";
export type { Explain } from "./explain_route.ts";
export type {
  HttpDependencies,
  ListenerView,
  MessageDetail,
  MessageFilter,
  QueueAdministration,
  QueueStats,
  Readiness,
  RecentEvent,
  RequestInfo,
  WellKnownAnswer,
} from "./dependencies.ts";
export { type HttpListener, startHttpListener } from "./listener.ts";
export { type Mailboxes, type MailboxView, type MailSummary, openMailboxes } from "./mailbox.ts";
export { type PublishedPolicy, publishedPolicy, stsAnswer } from "./mta_sts.ts";
export { type MailView, readMail } from "./mail_reader.ts";
