/** The envelope of a message: reverse-path, recipients and the ESMTP parameters given with them. */

/** The value of BODY= (RFC 6152, RFC 3030). */
export type BodyType = "7bit" | "8bitmime" | "binarymime";

/** DELIVERBY (RFC 2852): seconds from acceptance (may be negative once it has run out), what to do then, trace asked. */
export interface DeliverBy {
  readonly seconds: number;
  readonly mode: "notify" | "return";
  readonly trace: boolean;
}

/** The parameters of MAIL FROM, decoded (xtext and the like already undone). Absent means not given. */
export interface MailParameters {
  /** SIZE (RFC 1870), octets. */
  readonly size?: number;
  /** BODY (RFC 6152, RFC 3030). */
  readonly body?: BodyType;
  /** SMTPUTF8 (RFC 6531). */
  readonly smtputf8?: true;
  /** AUTH (RFC 4954 §5): the submitter; `""` is `<>`. */
  readonly auth?: string;
  /** RET (RFC 3461). */
  readonly ret?: "full" | "hdrs";
  /** ENVID (RFC 3461), xtext undone. */
  readonly envid?: string;
  /** REQUIRETLS (RFC 8689). */
  readonly requiretls?: true;
  /** HOLDFOR (RFC 4865), seconds. */
  readonly holdFor?: number;
  /** HOLDUNTIL (RFC 4865), milliseconds since the epoch. */
  readonly holdUntil?: number;
  /** BY (RFC 2852). */
  readonly by?: DeliverBy;
  /** MT-PRIORITY (RFC 6710), -9 to 9. */
  readonly mtPriority?: number;
  /** SOLICIT (RFC 3865). */
  readonly solicit?: string;
}

/** When a recipient's sender wants a delivery status notification (RFC 3461 §4.1). */
export interface Notify {
  readonly never: boolean;
  readonly success: boolean;
  readonly failure: boolean;
  readonly delay: boolean;
}

/** ORCPT (RFC 3461 §4.2): address type (`rfc822`, `utf-8`, in the case it was given in) and address, xtext undone. */
export interface OriginalRecipient {
  readonly type: string;
  readonly address: string;
}

/** The parameters of RCPT TO, decoded. */
export interface RcptParameters {
  readonly notify?: Notify;
  readonly orcpt?: OriginalRecipient;
  /**
   * The address that the client gave, where the mail goes to another one that stands for it. Not a parameter of RCPT:
   * no other server hears of it.
   */
  readonly original?: string;
  /** The copies that local delivery files, in the place of one in the inbox. Not a parameter of RCPT either. */
  readonly copies?: readonly FiledCopy[];
}

/** A copy of a message in a mailbox of its recipient, as a filter wants it (RFC 5228 §4.1, RFC 5232). */
export interface FiledCopy {
  /** UTF-8 name; absent for the inbox. */
  readonly mailbox?: string;
  /** IMAP flags, such as `\Seen`. */
  readonly flags?: readonly string[];
}
