/**
 * The typed event catalogue: the one place that names what can happen. Logs, metrics and webhooks are fed from it.
 *
 * Two habits keep a log readable. At `info` a message leaves one line when it is accepted, one per recipient that is
 * settled, and one for whatever was refused; the commands in between are `debug`. And an event means one thing only:
 * numbers, names and reasons are its fields.
 */

import type { EvaluationError } from "../expression/types.ts";

/** Level of an event or tracer. */
export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** A field of an event. Untrusted text is given as it is; sinks encode it. */
export type FieldValue = string | number | boolean | undefined | readonly (string | number)[];

/**
 * Fields of an event, by name in camelCase, such as `{ id, remoteIp, from, to }`. `from` and `to` hold addresses without
 * angle brackets, `""` for the null sender; `elapsed` is in milliseconds.
 */
export type EventFields = Readonly<Record<string, FieldValue>>;

/** Takes one event. Never throws and never blocks. */
export type Emit = (name: EventName, fields?: EventFields) => void;

/** Every event with its default level and what it means. Names are `area.name`; each is told somewhere. */
export const EVENTS = {
  // server: the life of the program
  "server.startup": { level: "info", text: "godwit started" },
  "server.shutdown": { level: "info", text: "godwit stopped" },
  "server.draining": { level: "info", text: "Stopping: no new connections, work in progress is finished" },
  "server.reload": { level: "info", text: "Configuration and certificates read again" },
  "server.reload-error": { level: "error", text: "Reload refused, the old configuration stays in force" },
  "server.unexpected-error": { level: "error", text: "Something that should not happen was caught" },

  // config: reading the file
  "config.parse-warning": { level: "warn", text: "The configuration file has a doubtful spelling" },
  "config.build-warning": { level: "warn", text: "A setting is doubtful" },

  // network: listeners and sockets
  "network.listen-start": { level: "info", text: "Listening" },
  "network.listen-stop": { level: "info", text: "Stopped listening" },
  "network.accept-error": { level: "debug", text: "A connection could not be taken" },
  "network.timeout": { level: "debug", text: "The other side was silent too long" },
  "network.proxy-error": { level: "warn", text: "PROXY header missing or broken, connection closed" },
  "network.proxy-accepted": { level: "debug", text: "Client address taken from the PROXY header" },

  // tls: certificates and handshakes of our listeners
  "tls.handshake": { level: "debug", text: "TLS agreed" },
  "tls.handshake-error": { level: "debug", text: "TLS handshake failed" },
  "tls.certificate-not-found": {
    level: "debug",
    text: "No certificate for the requested name, the default one is shown",
  },
  "tls.certificate-loaded": { level: "info", text: "Certificate loaded" },
  "tls.certificate-error": { level: "warn", text: "Changed files of a certificate are of no use, the old one is kept" },
  "tls.certificate-expires": { level: "warn", text: "A certificate expires soon or has expired" },

  // smtp: sessions that come in
  "smtp.connection-start": { level: "debug", text: "Client connected" },
  "smtp.connection-end": { level: "debug", text: "Client gone" },
  "smtp.ehlo": { level: "debug", text: "Client named itself" },
  "smtp.invalid-ehlo": { level: "info", text: "EHLO name refused" },
  "smtp.ehlo-expected": { level: "debug", text: "LHLO on an SMTP port, EHLO expected" },
  "smtp.lhlo-expected": { level: "debug", text: "EHLO on an LMTP port, LHLO expected" },
  "smtp.did-not-say-ehlo": { level: "debug", text: "Client skipped EHLO" },
  "smtp.start-tls-already": { level: "debug", text: "STARTTLS inside TLS" },
  "smtp.start-tls-unavailable": { level: "debug", text: "STARTTLS is not offered here" },
  "smtp.already-authenticated": { level: "debug", text: "AUTH a second time" },
  "smtp.auth-not-allowed": { level: "info", text: "AUTH is not allowed here" },
  "smtp.auth-mechanism-not-supported": { level: "info", text: "AUTH mechanism not offered" },
  "smtp.auth-exchange-too-long": { level: "debug", text: "AUTH exchange too long" },
  "smtp.missing-auth-directory": { level: "info", text: "AUTH is offered but no directory is set" },
  "smtp.mail-from": { level: "debug", text: "Sender accepted" },
  "smtp.mail-from-missing": { level: "debug", text: "Command needs a sender first" },
  "smtp.mail-from-not-allowed": { level: "info", text: "Sender refused" },
  "smtp.mail-from-rewritten": { level: "debug", text: "Sender rewritten" },
  "smtp.mail-from-unauthenticated": { level: "info", text: "Sender refused, a login is required" },
  "smtp.mail-from-unauthorized": { level: "info", text: "Sender refused, it does not belong to the login" },
  "smtp.multiple-mail-from": { level: "debug", text: "Second MAIL in one transaction" },
  "smtp.invalid-sender-address": { level: "info", text: "Rewriting gave no valid sender, the old one stays" },
  "smtp.rcpt-to": { level: "debug", text: "Recipient accepted" },
  "smtp.rcpt-to-missing": { level: "debug", text: "Command needs a recipient first" },
  "smtp.rcpt-to-rewritten": { level: "debug", text: "Recipient rewritten" },
  "smtp.rcpt-to-rejected": { level: "info", text: "Recipient refused" },
  "smtp.invalid-recipient-address": { level: "info", text: "Rewriting gave no valid recipient, the old one stays" },
  "smtp.mailbox-does-not-exist": { level: "info", text: "Recipient refused, no such mailbox" },
  "smtp.relay-not-allowed": { level: "info", text: "Recipient refused, not a domain of ours" },
  "smtp.too-many-recipients": { level: "debug", text: "Too many recipients" },
  "smtp.too-many-invalid-rcpt": { level: "info", text: "Too many refused recipients, session ended" },
  "smtp.too-many-messages": { level: "info", text: "Too many messages in one session" },
  "smtp.message-rejected": { level: "info", text: "Message refused" },
  "smtp.message-discarded": { level: "info", text: "Message accepted and dropped as a filter asked" },
  "smtp.message-too-large": { level: "info", text: "Message refused, it is too large" },
  "smtp.bare-newline": { level: "info", text: "Message refused, it holds a lone CR or LF" },
  "smtp.loop-detected": { level: "info", text: "Message refused, it is going round in circles" },
  "smtp.request-too-large": { level: "info", text: "Command line too long" },
  "smtp.rate-limit-exceeded": { level: "info", text: "Client is over a rate limit" },
  "smtp.concurrency-limit-exceeded": { level: "info", text: "Client has too many sessions" },
  "smtp.transfer-limit-exceeded": { level: "info", text: "Session moved too many bytes" },
  "smtp.time-limit-exceeded": { level: "info", text: "Session lasted too long" },
  "smtp.too-many-errors": { level: "info", text: "Too many commands that lead nowhere, session ended" },
  "smtp.early-talker": { level: "info", text: "Client spoke before its turn" },
  "smtp.id-not-found": { level: "warn", text: "A strategy named a definition that does not exist" },
  "smtp.invalid-command": { level: "debug", text: "Unknown command" },
  "smtp.syntax-error": { level: "debug", text: "Command not understood" },
  "smtp.invalid-parameter": { level: "debug", text: "Command parameter not understood" },
  "smtp.unsupported-parameter": { level: "debug", text: "Command parameter not offered" },
  "smtp.deliver-by-invalid": { level: "debug", text: "BY parameter cannot be honoured" },
  "smtp.future-release-invalid": { level: "debug", text: "Hold parameter cannot be honoured" },
  "smtp.vrfy": { level: "info", text: "VRFY answered" },
  "smtp.vrfy-disabled": { level: "debug", text: "VRFY is off" },
  "smtp.vrfy-not-found": { level: "info", text: "VRFY found nobody" },
  "smtp.expn": { level: "info", text: "EXPN answered" },
  "smtp.expn-disabled": { level: "debug", text: "EXPN is off" },
  "smtp.expn-not-found": { level: "info", text: "EXPN found no list" },
  "smtp.raw-input": { level: "trace", text: "Client wrote" },
  "smtp.raw-output": { level: "trace", text: "Client was answered" },
  "smtp.spf-ehlo-pass": { level: "debug", text: "SPF of the EHLO name passed" },
  "smtp.spf-ehlo-fail": { level: "info", text: "SPF of the EHLO name failed" },
  "smtp.spf-from-pass": { level: "debug", text: "SPF of the sender passed" },
  "smtp.spf-from-fail": { level: "info", text: "SPF of the sender failed" },
  "smtp.dkim-pass": { level: "debug", text: "A DKIM signature passed" },
  "smtp.dkim-fail": { level: "info", text: "DKIM failed" },
  "smtp.arc-pass": { level: "debug", text: "ARC chain passed" },
  "smtp.arc-fail": { level: "info", text: "ARC chain failed" },
  "smtp.dmarc-pass": { level: "debug", text: "DMARC passed" },
  "smtp.dmarc-fail": { level: "info", text: "DMARC failed" },
  "smtp.iprev-pass": { level: "debug", text: "Client address and name agree" },
  "smtp.iprev-fail": { level: "info", text: "Client address and name disagree" },

  // auth: logins on any service
  "auth.success": { level: "info", text: "Login accepted" },
  "auth.failed": { level: "info", text: "Login refused" },
  "auth.error": { level: "error", text: "Login could not be checked" },
  "auth.too-many-attempts": { level: "warn", text: "Too many failed logins" },

  // queue: what is accepted, waits and leaves
  "queue.queue-message": { level: "info", text: "Message queued" },
  "queue.queue-message-authenticated": { level: "info", text: "Submission queued" },
  "queue.queue-dsn": { level: "info", text: "Delivery status notification queued" },
  "queue.queue-report": { level: "info", text: "Report queued" },
  "queue.queue-autogenerated": { level: "info", text: "Message made here queued" },
  "queue.rescheduled": { level: "info", text: "Next attempt planned" },
  "queue.held": { level: "info", text: "Message held" },
  "queue.released": { level: "info", text: "Held message released" },
  "queue.cancelled": { level: "info", text: "Message removed by an administrator" },
  "queue.expired": { level: "info", text: "Recipient given up, the message is too old" },
  "queue.lease-taken-over": { level: "warn", text: "Work of a node that fell silent was taken over" },
  "queue.locked": { level: "debug", text: "Another node has this recipient" },
  "queue.blob-not-found": { level: "error", text: "Content of a queued message is missing" },
  "queue.quota-exceeded": { level: "info", text: "Queue quota reached, message refused" },

  // delivery: attempts and their outcomes
  "delivery.delivered": { level: "info", text: "Delivered" },
  "delivery.deferred": { level: "info", text: "Not delivered yet" },
  "delivery.failed": { level: "info", text: "Not delivered, given up" },
  "delivery.completed": { level: "debug", text: "Every recipient is settled, message removed" },
  "delivery.connect": { level: "debug", text: "Connected to the next hop" },
  "delivery.connect-error": { level: "info", text: "Next hop cannot be reached" },
  "delivery.connection-reused": { level: "debug", text: "Kept connection used again" },
  "delivery.mx-lookup": { level: "debug", text: "Mail hosts of the domain found" },
  "delivery.mx-lookup-failed": { level: "info", text: "Mail hosts of the domain could not be looked up" },
  "delivery.null-mx": { level: "info", text: "The domain takes no mail" },
  "delivery.ip-lookup": { level: "debug", text: "Addresses of the host found" },
  "delivery.ip-lookup-failed": { level: "info", text: "Addresses of the host could not be looked up" },
  "delivery.loop-detected": { level: "info", text: "The next hop is this host itself" },
  "delivery.greeting-failed": { level: "info", text: "Next hop did not greet" },
  "delivery.ehlo": { level: "debug", text: "Next hop greeted" },
  "delivery.ehlo-rejected": { level: "info", text: "Next hop refused EHLO" },
  "delivery.start-tls": { level: "debug", text: "TLS with the next hop" },
  "delivery.start-tls-disabled": { level: "debug", text: "TLS not used, policy says so" },
  "delivery.start-tls-unavailable": { level: "debug", text: "Next hop offers no TLS" },
  "delivery.start-tls-error": { level: "info", text: "TLS with the next hop failed" },
  "delivery.implicit-tls-error": { level: "info", text: "TLS from the first byte failed" },
  "delivery.auth": { level: "debug", text: "Logged in at the next hop" },
  "delivery.auth-failed": { level: "info", text: "Next hop refused the login" },
  "delivery.mail-from-rejected": { level: "info", text: "Next hop refused the sender" },
  "delivery.rcpt-to-rejected": { level: "info", text: "Next hop refused the recipient" },
  "delivery.message-rejected": { level: "info", text: "Next hop refused the message" },
  "delivery.rate-limit-exceeded": { level: "info", text: "Next hop is over a rate limit of ours" },
  "delivery.concurrency-limit-exceeded": { level: "info", text: "Next hop has as many connections as we allow" },
  "delivery.dsn-success": { level: "info", text: "Sender is told of the delivery" },
  "delivery.dsn-temp-fail": { level: "info", text: "Sender is told of the delay" },
  "delivery.dsn-perm-fail": { level: "info", text: "Sender is told of the failure" },
  "delivery.double-bounce": { level: "info", text: "Nobody to tell of the failure" },
  "delivery.raw-input": { level: "trace", text: "Next hop wrote" },
  "delivery.raw-output": { level: "trace", text: "Next hop was told" },
  "message-ingest.error": { level: "error", text: "Message could not be written to a Maildir" },

  // dane, mta-sts, tls-rpt: what protects a delivery
  "dane.authentication-success": { level: "debug", text: "Certificate agrees with the TLSA records" },
  "dane.authentication-failure": { level: "info", text: "Certificate disagrees with the TLSA records" },
  "dane.no-certificates-found": { level: "info", text: "Next hop showed no certificate" },
  "dane.tlsa-record-fetch": { level: "debug", text: "TLSA records found" },
  "dane.tlsa-record-fetch-error": { level: "info", text: "TLSA records could not be looked up" },
  "dane.tlsa-record-invalid": { level: "info", text: "TLSA records cannot be used" },
  "dane.tlsa-record-not-found": { level: "debug", text: "There are no TLSA records" },
  "mta-sts.authorized": { level: "debug", text: "Policy allows the host" },
  "mta-sts.not-authorized": { level: "info", text: "Policy does not allow the host" },
  "mta-sts.invalid-policy": { level: "info", text: "Policy cannot be used" },
  "mta-sts.policy-fetch": { level: "debug", text: "Policy fetched" },
  "mta-sts.policy-fetch-error": { level: "info", text: "Policy could not be fetched" },
  "mta-sts.policy-not-found": { level: "debug", text: "There is no policy" },
  "tls-rpt.record-fetch": { level: "debug", text: "TLS report address found" },
  "tls-rpt.record-fetch-error": { level: "info", text: "TLS report address could not be looked up" },
  "tls-rpt.record-not-found": { level: "debug", text: "Nobody asks for TLS reports" },

  // store: the database
  "store.unavailable": { level: "error", text: "Store unreachable or full, new mail is put off" },
  "store.recovered": { level: "info", text: "Store works again" },
  "store.migrated": { level: "info", text: "Database brought to a newer schema" },
  "store.http-store-fetch": { level: "debug", text: "List fetched" },
  "store.http-store-cut": { level: "warn", text: "List is in use, but not all of it" },
  "store.http-store-error": { level: "warn", text: "List could not be fetched" },
  "store.unexpected-error": { level: "error", text: "Unexpected store error" },

  // eval: expressions
  "eval.error": { level: "debug", text: "Expression error, taken as false" },
  "eval.wrong-value": { level: "warn", text: "A setting came to a value that does not fit, its default is used" },
  "eval.directory-not-found": { level: "warn", text: "Expression named an unknown directory" },
  "eval.lookup-unavailable": { level: "warn", text: "Expression could not reach what it looks up" },

  // limit and security
  "limit.concurrent-connection": { level: "warn", text: "Too many connections" },
  "limit.concurrent-request": { level: "debug", text: "Too many requests at once" },
  "limit.too-many-requests": { level: "warn", text: "Too many requests" },
  "limit.size-request": { level: "debug", text: "Request too large" },
  "security.ip-blocked": { level: "info", text: "Blocked address refused" },
  "security.unauthorized": { level: "info", text: "Access refused" },
  "security.abuse-ban": { level: "info", text: "Address banned for abuse" },
  "security.authentication-ban": { level: "info", text: "Address banned for failed logins" },
  "security.loiter-ban": { level: "info", text: "Address banned for idle connections" },
  "security.scan-ban": { level: "info", text: "Address banned for scanning" },

  // http: status page and management API
  "http.request-url": { level: "debug", text: "Request served" },
  "http.error": { level: "warn", text: "Request failed" },
  "http.x-forwarded-missing": { level: "warn", text: "Request without the forwarding header that is expected" },

  // telemetry and network: watching ourselves, and DNS
  "telemetry.log-error": { level: "warn", text: "Log could not be written" },
  "telemetry.records-dropped": { level: "warn", text: "Log records dropped, their writer is too slow" },
  "telemetry.prometheus-exporter-error": { level: "warn", text: "A metric could not be read" },
  "network.dns-failed": { level: "debug", text: "No name server gave a usable answer" },
  "network.trust-anchor": { level: "info", text: "A key that DNSSEC begins with has come or gone" },
  "network.trust-anchor-error": { level: "warn", text: "Keys that DNSSEC begins with cannot be kept current" },

  // spf, dkim, arc, dmarc, iprev: single results; `smtp.*` above tells the verdicts
  "spf.pass": { level: "debug", text: "SPF passed" },
  "spf.fail": { level: "debug", text: "SPF failed" },
  "spf.soft-fail": { level: "debug", text: "SPF failed softly" },
  "spf.neutral": { level: "debug", text: "SPF says nothing about the address" },
  "spf.none": { level: "debug", text: "There is no SPF record" },
  "spf.temp-error": { level: "debug", text: "SPF could not be looked up" },
  "spf.perm-error": { level: "debug", text: "SPF record cannot be used" },
  "dkim.pass": { level: "debug", text: "DKIM signature passed" },
  "dkim.fail": { level: "debug", text: "DKIM signature failed" },
  "dkim.neutral": { level: "debug", text: "DKIM signature cannot be judged" },
  "dkim.none": { level: "debug", text: "There is no DKIM signature" },
  "dkim.temp-error": { level: "debug", text: "DKIM key could not be looked up" },
  "dkim.perm-error": { level: "debug", text: "DKIM signature or key cannot be used" },
  "dkim.signer-not-found": { level: "warn", text: "A signature that is not configured was asked for" },
  "dkim.signed": { level: "debug", text: "Message signed" },
  "dkim.sign-error": { level: "error", text: "Message could not be signed" },
  "arc.chain-too-long": { level: "debug", text: "ARC chain too long" },
  "arc.invalid-cv": { level: "debug", text: "ARC seal of a failed chain" },
  "arc.sealer-not-found": { level: "warn", text: "A seal that is not configured was asked for" },
  "arc.sealed": { level: "debug", text: "Message sealed" },
  "dmarc.pass": { level: "debug", text: "DMARC check passed" },
  "dmarc.fail": { level: "debug", text: "DMARC check failed" },
  "dmarc.none": { level: "debug", text: "There is no DMARC record" },
  "dmarc.temp-error": { level: "debug", text: "DMARC record could not be looked up" },
  "dmarc.perm-error": { level: "debug", text: "DMARC record cannot be used" },
  "iprev.pass": { level: "debug", text: "Address and name of the client agree" },
  "iprev.fail": { level: "debug", text: "Address and name of the client disagree" },
  "iprev.none": { level: "debug", text: "The client address has no name" },
  "iprev.temp-error": { level: "debug", text: "Name of the client could not be looked up" },
  "iprev.perm-error": { level: "debug", text: "Name of the client cannot be used" },

  // milter, mta-hook, sieve: filters
  "milter.action-accept": { level: "debug", text: "Milter accepts" },
  "milter.action-discard": { level: "info", text: "Milter drops the message" },
  "milter.action-reject": { level: "info", text: "Milter refuses" },
  "milter.action-reply-code": { level: "info", text: "Milter refuses in its own words" },
  "milter.action-temp-fail": { level: "info", text: "Milter puts off" },
  "milter.action-shutdown": { level: "info", text: "Milter ends the session" },
  "milter.action-connection-failure": { level: "info", text: "Milter drops the connection" },
  "milter.disconnected": { level: "warn", text: "Milter hung up" },
  "milter.frame-invalid": { level: "warn", text: "Milter sent nonsense" },
  "milter.frame-too-large": { level: "warn", text: "Milter sent too much" },
  "milter.unexpected-response": { level: "warn", text: "Milter answered out of turn" },
  "milter.io-error": { level: "warn", text: "Milter cannot be reached" },
  "milter.timeout": { level: "warn", text: "Milter is too slow" },
  "milter.read": { level: "trace", text: "Milter wrote" },
  "milter.write": { level: "trace", text: "Milter was told" },
  "mta-hook.action-accept": { level: "debug", text: "Hook accepts" },
  "mta-hook.action-discard": { level: "info", text: "Hook drops the message" },
  "mta-hook.action-reject": { level: "info", text: "Hook refuses" },
  "mta-hook.action-quarantine": { level: "info", text: "Hook puts the message in quarantine" },
  "mta-hook.error": { level: "warn", text: "Hook could not be called" },
  "sieve.action-accept": { level: "debug", text: "Script accepts" },
  "sieve.action-accept-replace": { level: "debug", text: "Script accepts a changed message" },
  "sieve.action-discard": { level: "info", text: "Script drops the message" },
  "sieve.action-reject": { level: "info", text: "Script refuses" },
  "sieve.send-message": { level: "info", text: "Script sends a message" },
  "sieve.script-not-found": { level: "warn", text: "A script that is not configured was asked for" },
  "sieve.list-not-found": { level: "warn", text: "A list that is not configured was asked for" },
  "sieve.not-supported": { level: "warn", text: "Script asked for what is not possible here" },
  "sieve.redirect-loop": {
    level: "warn",
    text: "Script sends on a message that has come back, which was kept instead",
  },
  "sieve.exec-error": { level: "warn", text: "A program that a script wanted to run could not do its work" },
  "sieve.runtime-error": { level: "warn", text: "Script stopped with an error, the message goes on without it" },
  "sieve.unexpected-error": { level: "error", text: "Script engine failed" },

  // incoming-report, outgoing-report: feedback from and to others
  "incoming-report.dmarc-report": { level: "info", text: "DMARC report received" },
  "incoming-report.dmarc-report-with-warnings": { level: "warn", text: "DMARC report tells of failures" },
  "incoming-report.tls-report": { level: "info", text: "TLS report received" },
  "incoming-report.tls-report-with-warnings": { level: "warn", text: "TLS report tells of failures" },
  "incoming-report.abuse-report": { level: "info", text: "Complaint received" },
  "incoming-report.auth-failure-report": { level: "info", text: "Authentication failure report received" },
  "incoming-report.delivery-status": { level: "info", text: "Delivery status notification received" },
  "incoming-report.message-parse-failed": { level: "info", text: "Report message cannot be read" },
  "incoming-report.dmarc-parse-failed": { level: "info", text: "DMARC report cannot be read" },
  "incoming-report.tls-rpc-parse-failed": { level: "info", text: "TLS report cannot be read" },
  "incoming-report.arf-parse-failed": { level: "info", text: "Complaint cannot be read" },
  "incoming-report.decompress-error": { level: "info", text: "Report cannot be unpacked" },
  "outgoing-report.dmarc-aggregate-report": { level: "info", text: "DMARC report sent" },
  "outgoing-report.dmarc-report": { level: "info", text: "DMARC failure report sent" },
  "outgoing-report.dkim-report": { level: "info", text: "DKIM failure report sent" },
  "outgoing-report.spf-report": { level: "info", text: "SPF failure report sent" },
  "outgoing-report.tls-aggregate": { level: "info", text: "TLS report sent" },
  "outgoing-report.dmarc-rate-limited": { level: "info", text: "DMARC failure report left out, too many" },
  "outgoing-report.dkim-rate-limited": { level: "info", text: "DKIM failure report left out, too many" },
  "outgoing-report.spf-rate-limited": { level: "info", text: "SPF failure report left out, too many" },
  "outgoing-report.http-submission": { level: "info", text: "Report handed over by HTTPS" },
  "outgoing-report.submission-error": { level: "info", text: "Report could not be handed over" },
  "outgoing-report.no-recipients-found": { level: "info", text: "Nobody wants the report" },
  "outgoing-report.unauthorized-reporting-address": {
    level: "info",
    text: "Report address did not agree to get reports",
  },
  "outgoing-report.locked": { level: "info", text: "Another node makes this report" },

  // acme, cluster, purge: work in the background
  "acme.order-start": { level: "info", text: "Certificate ordered" },
  "acme.order-completed": { level: "info", text: "Certificate received" },
  "acme.order-invalid": { level: "warn", text: "Certificate order refused" },
  "acme.auth-error": { level: "warn", text: "Proof of the name failed" },
  "acme.error": { level: "error", text: "Certificate authority error" },
  "acme.renew-backoff": { level: "debug", text: "Certificate order put off" },
  "acme.token-not-found": { level: "debug", text: "Somebody asked for a proof that there is not" },
  "acme.tls-alpn-received": { level: "info", text: "Proof of the name shown by TLS" },
  "acme.tls-alpn-error": { level: "warn", text: "Proof of the name could not be shown by TLS" },
  "acme.dns-record-created": { level: "info", text: "Record that proves the name made" },
  "acme.dns-record-creation-failed": { level: "warn", text: "Record that proves the name could not be made" },
  "acme.dns-record-propagated": { level: "info", text: "Record that proves the name can be seen" },
  "acme.dns-record-not-propagated": { level: "debug", text: "Record that proves the name cannot be seen yet" },
  "acme.dns-record-propagation-timeout": { level: "warn", text: "Record that proves the name did not come to be seen" },
  "acme.dns-record-deletion-failed": { level: "warn", text: "Record that proved the name could not be removed" },
  "acme.process-cert": { level: "info", text: "Certificate in use" },
  "cluster.node-joined": { level: "info", text: "A node joined" },
  "cluster.node-lost": { level: "warn", text: "A node fell silent" },
  "purge.started": { level: "debug", text: "Old records are being removed" },
  "purge.finished": { level: "debug", text: "Old records removed" },
  "purge.error": { level: "error", text: "Old records could not be removed" },

  // smtp: what filters do to sessions
  "smtp.filter-refused": { level: "info", text: "A filter refused" },
  "smtp.filter-error": { level: "warn", text: "A filter failed or asked for what is not possible" },
} as const satisfies Record<string, { level: Level; text: string }>;

/** Name of an event. */
export type EventName = keyof typeof EVENTS;

/**
 * What a scope tells the errors of its expressions: each becomes the event that it names, with the key of the setting
 * and the reason.
 *
 * @param about what is known besides, such as the session
 */
export function emitEvaluationErrors(emit: Emit, about?: EventFields): (error: EvaluationError) => void {
  return ({ event, key, message }) =>
    emit(Object.hasOwn(EVENTS, event) ? event as EventName : "eval.error", { ...about, key, reason: message });
}
