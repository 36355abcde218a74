/** The parameters of MAIL against what this server grants: size, hold, deadline, priority, soliciting, submitter. */

import { soughtAddress } from "../directory/mod.ts";
import { addressDomain, isSolicitation, type MailParameters, type Reply, reply } from "../smtp/mod.ts";
import { priorityLevel, type PriorityPolicy } from "./priority.ts";
import type { Session } from "./session.ts";

/** The parameters as they are granted, or why they are not. */
export type Admission =
  | { readonly kind: "admitted"; readonly parameters: MailParameters }
  | { readonly kind: "refused"; readonly reply: Reply };

/** Checks parameters whose limits are settings, and replaces what is granted otherwise than asked. */
export async function admitParameters(session: Session, asked: MailParameters): Promise<Admission> {
  const refusal = await tooLarge(session, asked) ?? await unacceptableHold(session, asked) ??
    await unacceptableDeadline(session, asked) ?? await soliciting(session, asked.solicit);
  if (refusal !== undefined) return { kind: "refused", reply: refusal };
  let parameters = asked;
  if (asked.auth !== undefined && !await mayVouchFor(session, asked.auth)) parameters = { ...parameters, auth: "" };
  return { kind: "admitted", parameters };
}

/** The level at which a message with these parameters is handled (RFC 6710 §5); 0 for one without a priority. */
export function levelOf(session: Session, { mtPriority }: MailParameters): number | Promise<number> {
  if (mtPriority === undefined) return 0;
  const policy = session.evaluate(session.deps.config.extensions.mtPriority);
  return policy instanceof Promise ? policy.then((it) => level(it, mtPriority)) : level(policy, mtPriority);
}

function level(policy: PriorityPolicy | false, priority: number): number {
  return policy === false ? priority : priorityLevel(policy, priority);
}

/** Tells of a parameter of MAIL or RCPT that is not offered (RFC 5321 §4.1.1.11), or not understood. */
export function refuseParameter(session: Session, answer: Reply): Reply {
  return session.refuse(answer.code === 555 ? "smtp.unsupported-parameter" : "smtp.invalid-parameter", answer);
}

async function tooLarge(session: Session, { size }: MailParameters): Promise<Reply | undefined> {
  if (size === undefined) return undefined;
  const limit = await session.evaluate(session.deps.config.data.limits.size);
  if (size <= limit) return undefined;
  const answer = reply(552, "5.3.4", `Message of ${size} octets is too big, the limit is ${limit}`);
  return session.refuse("smtp.message-too-large", answer);
}

/** When a message with these parameters may be delivered first, milliseconds since the epoch; undefined: at once. */
export function holdEnd(parameters: MailParameters, now: number): number | undefined {
  return parameters.holdUntil ?? (parameters.holdFor === undefined ? undefined : now + parameters.holdFor * 1000);
}

/** RFC 4865 §4.1. */
async function unacceptableHold(session: Session, parameters: MailParameters): Promise<Reply | undefined> {
  const { config, clock, emit } = session.deps;
  const end = holdEnd(parameters, clock.now());
  if (end === undefined) return undefined;
  const longest = await session.evaluate(config.extensions.futureRelease);
  if (longest !== false && end - clock.now() <= longest) return undefined;
  emit("smtp.future-release-invalid", { session: session.id, until: end });
  return reply(501, "5.5.4", "The requested hold is longer than this server permits");
}

/** RFC 2852 §4: how long a deadline may be ahead is for the server to say. */
async function unacceptableDeadline(session: Session, parameters: MailParameters): Promise<Reply | undefined> {
  const { by } = parameters;
  if (by === undefined) return undefined;
  const { config, clock, emit } = session.deps;
  const longest = await session.evaluate(config.extensions.deliverBy) || 0;
  const deadline = by.seconds * 1000;
  let refusal: Reply;
  if (deadline > longest) {
    // RFC 2852 §4: what is well-formed and yet not accepted, for good, is 555.
    const limit = Math.floor(longest / 1000);
    refusal = reply(555, "5.5.4", `The delivery deadline is further away than this server permits (${limit} seconds)`);
  } else if (isTooLate(parameters, clock.now(), deadline, by.mode)) {
    refusal = reply(501, "5.5.4", "The delivery deadline is before the end of the requested hold");
  } else {
    return undefined;
  }
  emit("smtp.deliver-by-invalid", { session: session.id, seconds: by.seconds });
  return refusal;
}

/** RFC 4865 §5.2.2: a hold beyond the deadline, or one after which the message could only be returned. */
function isTooLate(parameters: MailParameters, now: number, deadline: number, mode: "notify" | "return"): boolean {
  const ahead = (holdEnd(parameters, now) ?? now) - now;
  return ahead > 0 && (mode === "return" ? ahead >= deadline : ahead > deadline);
}

/** RFC 3865 §2.4: refuses classes of mail that this server has said it does not want. */
export async function soliciting(session: Session, keywords: string | undefined): Promise<Reply | undefined> {
  if (keywords === undefined) return undefined;
  const unwanted = await session.evaluate(session.deps.config.extensions.noSoliciting);
  if (unwanted === false || unwanted === "") return undefined;
  const classes = new Set(splitKeywords(unwanted.toLowerCase()));
  const matching = splitKeywords(keywords).filter((keyword) => classes.has(keyword.toLowerCase()));
  if (matching.length === 0) return undefined;
  // RFC 3865 §2.4: the reply names the classes that matched.
  return reply(550, "5.7.1", `Soliciting mail of this kind is not wanted here, SOLICIT=${matching.join(",")}`);
}

/** The keywords of a Solicitation field (RFC 3865 §2.5) as SOLICIT takes them; nothing if it holds others. */
export function solicitationKeywords(value: string): string | undefined {
  const keywords = splitKeywords(value).join(",");
  return isSolicitation(keywords) ? keywords : undefined;
}

function splitKeywords(text: string): string[] {
  return text.split(/[,\s]+/).filter((keyword) => keyword !== "");
}

/**
 * Whether the client may say who submitted the message (RFC 4954 §5): only one that has logged in, and only for
 * addresses that it may send from. Otherwise its word counts as `AUTH=<>`.
 */
async function mayVouchFor(session: Session, submitter: string): Promise<boolean> {
  if (session.account === undefined) return false;
  return submitter === "" || !await session.evaluate(session.deps.config.auth.mustMatchSender) ||
    await maySendFrom(session, session.account.emails, submitter);
}

/**
 * Whether an account with these addresses may send from `address`: its own, any of a domain whose catch-all it has, and
 * what `session.rcpt.sub-addressing` makes one of these.
 */
export async function maySendFrom(session: Session, emails: readonly string[], address: string): Promise<boolean> {
  if (ownsAddress(emails, address)) return true;
  const { variables, deps } = session;
  const { rcpt, rcpt_domain } = variables;
  try {
    // The setting asks about a recipient; here it is whether mail for the sender would reach the account.
    Object.assign(variables, { rcpt: address, rcpt_domain: addressDomain(address) });
    const sought = soughtAddress(address, await session.evaluate(deps.config.rcpt.subAddressing));
    return sought !== address && ownsAddress(emails, sought);
  } finally {
    Object.assign(variables, { rcpt, rcpt_domain });
  }
}

function ownsAddress(emails: readonly string[], address: string): boolean {
  const wanted = address.toLowerCase();
  const domain = wanted.slice(wanted.lastIndexOf("@"));
  return emails.some((email) => {
    const own = email.toLowerCase();
    return own === wanted || own === domain;
  });
}
