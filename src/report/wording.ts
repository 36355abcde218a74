/**
 * All that people read in notifications and reports, by key: who wants them in another language writes this table again.
 * Texts are in one line, to be wrapped by those that use them, and parameters are ready to be read. What programs read
 * (fields, status codes, the subjects that RFC 7489 §7.2.1.1 and RFC 8460 §5.3 prescribe) has no translation.
 */

/** What can be wrong, as a status code tells it (RFC 3463 §3). */
export type Advice =
  | "noMailbox"
  | "noDomain"
  | "badAddress"
  | "closed"
  | "full"
  | "tooLarge"
  | "loop"
  | "unreachable"
  | "international"
  | "content"
  | "unsafe"
  | "policy"
  | "other";

/** Delivery status notifications. */
export const NOTICE_WORDS = {
  subject: {
    failed: "Your message could not be delivered",
    delayed: "Your message is delayed",
    relayed: "Your message was passed on",
    delivered: "Your message was delivered",
  },
  preamble: "This is a delivery status notification in MIME format (RFC 3464).",
  /** What the parts are called, in ASCII. */
  parts: {
    text: "Notification",
    status: "Delivery report",
    message: "Undelivered message",
    header: "Header of the message",
  },
  greeting: (hostname: string) => `This is the mail server ${hostname}.`,
  about: (subject: string) => `Subject: ${subject}`,
  failed: (sent: string) =>
    `The message you sent on ${sent} could not be delivered to the recipients below. ` +
    "No further attempt will be made.",
  delayed: (sent: string) =>
    `The message you sent on ${sent} has not yet been delivered to the recipients below. ` +
    "You need not send it again: this server keeps trying by itself.",
  delivered: "You asked to be told: the message was delivered to the recipients below.",
  relayed:
    "You asked to be told: the message was passed on for the recipients below to a server that sends no further notice.",
  reason: (text: string) => `Reason: ${text}`,
  whatToDo: (advice: string) => `What you can do: ${advice}`,
  attemptsUntil: (time: string) => `Attempts go on until ${time}.`,
  expanded: "The address stands for several, who got it each.",
  passedOnTo: (host: string) => `Passed on to ${host}.`,
  conversation: "The end of the conversation (seconds; C: this server, S: the other one):",
  details: "Details for programs and administrators are attached, with the message or its header.",
  advice: {
    noMailbox: "check the spelling of the address. If it is right, the mailbox does not exist, or no longer; ask the " +
      "recipient by other means.",
    noDomain: "check the part of the address after the @. That domain does not exist or takes no mail.",
    badAddress: "check the spelling of the addresses; the other server found one malformed or unknown.",
    closed: "ask the recipient by other means: the mailbox is closed.",
    full: "wait until the recipient has made room, then send the message again: the mailbox is full.",
    tooLarge: "send a smaller message, for example without attachments: it is larger than allowed.",
    loop: "tell the recipient's administrator: the message went in circles between servers.",
    unreachable: "send the message again later. The recipient's server could not be reached in the time allowed.",
    international: "use another address of the recipient: the server there cannot handle international addresses.",
    content: "send the message in another form: the other server cannot take its content.",
    unsafe: "ask the recipient's administrator: the server there offers no safe enough encryption.",
    policy: "the other server refused the message by its rules. If it was wanted there, ask the recipient's " +
      "administrator and pass on the answer above.",
    other: "see the answer above. If it does not help, ask your administrator and pass it on.",
  } satisfies Record<Advice, string>,
} as const;

/** Reports of single messages that failed authentication. */
export const FAILURE_WORDS = {
  greeting: (hostname: string) => `This is an authentication failure report of the mail server ${hostname}.`,
  message: (ip: string, arrived: string) => `A message that came from ${ip} on ${arrived}`,
  dmarc: (domain: string) => `failed DMARC, or a part of it, for ${domain}.`,
  spf: (domain: string) => `did not pass SPF for ${domain}.`,
  dkim: (domain: string) => `has a DKIM signature of ${domain} that does not pass.`,
  fate: {
    refused: "It was refused.",
    accepted: "It was accepted all the same.",
    withheld: "It was accepted, but has not been delivered.",
  },
  why: (domain: string) => `You get this because records that ${domain} publishes in DNS ask for it.`,
  details: "Details for programs are attached, with the header of the message.",
} as const;

/** What the text of an aggregate report is made of. */
export interface AggregateWords {
  readonly domain: string;
  readonly submitter: string;
  readonly begin: string;
  readonly end: string;
  readonly id: string;
}

/** Aggregate reports. */
export const AGGREGATE_WORDS = {
  dmarc: ({ domain, submitter, begin, end, id }: AggregateWords, records: number): readonly string[] => [
    `This is a DMARC aggregate report about ${domain} from ${submitter}.`,
    "",
    `Begin:   ${begin}`,
    `End:     ${end}`,
    `Records: ${records}`,
    `Id:      ${id}`,
  ],
  tls: ({ domain, submitter, begin, end, id }: AggregateWords): readonly string[] => [
    `This is an aggregate TLS report about ${domain} from ${submitter}.`,
    "",
    `Begin: ${begin}`,
    `End:   ${end}`,
    `Id:    ${id}`,
  ],
  /** What DMARC reports tell in `<error>`. */
  tooManyKinds: (messages: number) => `${messages} messages are left out, there were too many kinds of them`,
  cut: (records: number, all: number) => `${records} of ${all} records are left out for the size of the report`,
} as const;
