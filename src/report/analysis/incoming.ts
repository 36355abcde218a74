/** What reports say that others send us, in one shape whatever they were written in. Times are milliseconds since the epoch. */

/** Kinds of reports that are told apart. */
export const REPORT_KINDS = ["dmarc", "tls", "abuse", "auth-failure", "dsn"] as const;

/** `dmarc` and `tls` count what happened in a period; the others are about one message. */
export type ReportKind = typeof REPORT_KINDS[number];

/** A report that was read. */
export type IncomingReport = DmarcReport | TlsReport | FeedbackReport | DeliveryReport;

interface AnyReport {
  /** Who reports: an organisation, or the name of a server. */
  readonly reporter: string;
  /** What the report deviates in from its format, and could be read all the same; for people. */
  readonly problems: readonly string[];
}

interface PeriodReport extends AnyReport {
  /** Address or words for questions about the report. */
  readonly contact: string;
  readonly reportId: string;
  /** The period that is reported on; undefined where the report does not say. */
  readonly begin: number | undefined;
  readonly end: number | undefined;
}

/** A DMARC aggregate report (RFC 7489 appendix C, RFC 9990). */
export interface DmarcReport extends PeriodReport {
  readonly kind: "dmarc";
  readonly policy: PublishedPolicy;
  /** Of the whole report, also of records that are not in `records`. */
  readonly totals: DmarcTotals;
  /** Addresses that sent mail that failed, most of it first. */
  readonly failing: readonly FailingSource[];
  readonly records: readonly DmarcRecord[];
  /** Records that were counted and not kept, as there are too many. */
  readonly recordsLeftOut: number;
  /** What the reporter could not do, in its own words. */
  readonly errors: readonly string[];
}

/** The policy that the reporter found; `""` for what it does not say. */
export interface PublishedPolicy {
  readonly domain: string;
  readonly p: string;
  readonly sp: string;
  readonly np: string;
  readonly adkim: string;
  readonly aspf: string;
  readonly pct: string;
  readonly fo: string;
  readonly testing: string;
  readonly discoveryMethod: string;
}

/** Numbers of messages. */
export interface DmarcTotals {
  readonly messages: number;
  /** DMARC passed: DKIM or SPF, aligned. */
  readonly passed: number;
  readonly failed: number;
  readonly dkimPassed: number;
  readonly spfPassed: number;
  /** What was done with messages; `accepted` is the disposition `none`, or `pass` of RFC 9990. */
  readonly accepted: number;
  readonly quarantined: number;
  readonly rejected: number;
}

/** Where failing messages came from. */
export interface FailingSource {
  readonly source: string;
  readonly failed: number;
}

/** Messages that were treated alike. */
export interface DmarcRecord {
  /** IP address of the client. */
  readonly source: string;
  readonly count: number;
  readonly disposition: string;
  /** Whether DKIM and SPF passed with an aligned domain. */
  readonly dkim: string;
  readonly spf: string;
  readonly reasons: readonly { readonly type: string; readonly comment: string }[];
  readonly headerFrom: string;
  readonly envelopeFrom: string;
  readonly envelopeTo: string;
  readonly dkimResults: readonly AuthResult[];
  readonly spfResults: readonly AuthResult[];
}

/** A result as it was before alignment. */
export interface AuthResult {
  readonly domain: string;
  /** Selector of DKIM, scope of SPF. */
  readonly part: string;
  readonly result: string;
  readonly text: string;
}

/** A TLS report (RFC 8460). */
export interface TlsReport extends PeriodReport {
  readonly kind: "tls";
  readonly policies: readonly TlsPolicyResult[];
}

/** Sessions under one policy. */
export interface TlsPolicyResult {
  /** `sts`, `tlsa` or `no-policy-found`. */
  readonly type: string;
  readonly domain: string;
  readonly policy: readonly string[];
  readonly mxHosts: readonly string[];
  readonly succeeded: number;
  readonly failed: number;
  readonly failures: readonly TlsFailure[];
}

/** Sessions that failed alike. */
export interface TlsFailure {
  readonly result: string;
  readonly sendingIp: string;
  readonly mx: string;
  readonly receivingIp: string;
  readonly helo: string;
  readonly sessions: number;
  readonly information: string;
  readonly reason: string;
}

/** A complaint about a message, or the report of one that failed authentication (RFC 5965, RFC 6591). */
export interface FeedbackReport extends AnyReport {
  readonly kind: "abuse" | "auth-failure";
  /** `abuse`, `fraud`, `virus`, `not-spam`, `auth-failure` and others. */
  readonly feedbackType: string;
  readonly arrived: number | undefined;
  readonly incidents: number;
  readonly source: string;
  /** Domains that the report is about. */
  readonly domains: readonly string[];
  readonly uris: readonly string[];
  readonly envelopeFrom: string;
  readonly envelopeTo: readonly string[];
  readonly envelopeId: string;
  readonly authenticationResults: readonly string[];
  /** `dkim`, `spf`, `dmarc` and others; `""` in complaints. */
  readonly authFailure: string;
  readonly deliveryResult: string;
  readonly identityAlignment: string;
  readonly dkimDomain: string;
  readonly dkimSelector: string;
  readonly spfDns: string;
  readonly original: OriginalMessage;
}

/** What is known of the message that a report is about; `""` for what is not. */
export interface OriginalMessage {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly date: string;
  readonly messageId: string;
}

/** A delivery status notification (RFC 3464). */
export interface DeliveryReport extends AnyReport {
  readonly kind: "dsn";
  readonly arrived: number | undefined;
  readonly envelopeId: string;
  readonly recipients: readonly DeliveryResult[];
  readonly original: OriginalMessage;
}

/** What became of one recipient. */
export interface DeliveryResult {
  readonly recipient: string;
  readonly originalRecipient: string;
  /** `failed`, `delayed`, `delivered`, `relayed` or `expanded`. */
  readonly action: string;
  /** Enhanced status code. */
  readonly status: string;
  readonly remoteMta: string;
  readonly diagnostic: string;
}

/** Why something that should be a report is none. */
export interface Unreadable {
  /** What it claims to be; `message` is the mail as a whole, `archive` what is packed. */
  readonly kind: "message" | "archive" | "dmarc" | "tls" | "feedback";
  /** What is wrong, and where it was found; untrusted text. */
  readonly reason: string;
}

/** A report with what tells it from others. */
export interface ReadReport {
  readonly report: IncomingReport;
  /** SHA-256 of the document it was read from, in hexadecimal: the same report that comes twice has the same one. */
  readonly digest: string;
}

/** What was found in a message. */
export interface Findings {
  readonly reports: readonly ReadReport[];
  readonly unreadable: readonly Unreadable[];
}
