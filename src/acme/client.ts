/** Talking to one authority: its directory, nonces, signed requests, and what it says when it refuses (RFC 8555 §6, §7.1). */

import * as v from "valibot";
import type { Clock } from "../clock/mod.ts";
import type { HttpAnswer, SendRequest } from "./https.ts";
import { type AccountKey, bindAccount, signRequest } from "./jws.ts";
import { AcmeError, problemName, problemText, readProblem } from "./problem.ts";

const DirectorySchema = v.object({
  newNonce: v.string(),
  newAccount: v.string(),
  newOrder: v.string(),
  renewalInfo: v.optional(v.string()),
  meta: v.optional(v.object({ externalAccountRequired: v.optional(v.boolean()) })),
});

/** Where an authority does what (RFC 8555 §7.1.1, RFC 9773 §4.1). */
export type Directory = v.InferOutput<typeof DirectorySchema>;

/** What an account is made with. */
export interface AccountRequest {
  /** `mailto:` URLs. */
  readonly contacts: readonly string[];
  readonly eab: { readonly kid: string; readonly hmacKey: string } | undefined;
}

/** An authority, and one account there. */
export interface AcmeClient {
  readonly directory: Directory;
  readonly key: AccountKey;
  /** Makes the account, or finds the one that has the key. @returns its URL */
  createAccount(request: AccountRequest): Promise<string>;
  /** Signs as this account from now on. */
  useAccount(url: string): void;
  /**
   * Sends a signed request; without a payload it is a POST-as-GET.
   *
   * @throws {AcmeError} with the problem document if the authority refuses
   */
  post(url: string, payload?: unknown, accept?: string): Promise<HttpAnswer>;
  /** Sends an unsigned GET. @throws {AcmeError} if the answer is not 200 */
  get(url: string): Promise<HttpAnswer>;
}

/** What a client works with. */
export interface ClientOptions {
  readonly send: SendRequest;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How often a request is repeated whose nonce was not good any more (RFC 8555 §6.5). */
const MOST_NONCES = 5;

/** Nonces that are kept; an order needs one at a time. */
const KEPT_NONCES = 10;

/**
 * Reads the directory of an authority.
 *
 * @throws {AcmeError} if it cannot be had
 */
export async function openAuthority(url: string, key: AccountKey, options: ClientOptions): Promise<AcmeClient> {
  const { clock, signal } = options;
  const isEncrypted = /^https:/i.test(url);
  const send: SendRequest = (request, signal) =>
    // RFC 8555 §6.1.
    isEncrypted && !/^https:/i.test(request.url)
      ? Promise.reject(new AcmeError(`the authority leads from https to ${request.url}`, { kind: "refused" }))
      : options.send(request, signal);
  const nonces: string[] = [];
  let account: string | undefined;

  const keepNonce = (answer: HttpAnswer) => {
    const nonce = answer.header("replay-nonce");
    if (nonce !== undefined && /^[\w-]+$/.test(nonce) && nonces.length < KEPT_NONCES) nonces.push(nonce);
  };

  const freshNonce = async (): Promise<string> => {
    const kept = nonces.pop();
    if (kept !== undefined) return kept;
    keepNonce(await send({ method: "HEAD", url: directory.newNonce }, signal));
    const nonce = nonces.pop();
    if (nonce === undefined) throw new AcmeError(`${directory.newNonce} gave no nonce`, { kind: "network" });
    return nonce;
  };

  const get = async (from: string): Promise<HttpAnswer> => {
    const answer = await send({ method: "GET", url: from }, signal);
    if (answer.status !== 200) throw refusal(answer, from, clock);
    return answer;
  };

  const signed = async (to: string, payload: unknown, asNew: boolean, accept = "application/json") => {
    for (let tries = 1;; tries++) {
      const nonce = await freshNonce();
      // RFC 8555 §6.2: by the key until there is an account, then by the account.
      const who = asNew || account === undefined ? { jwk: key.jwk } : { kid: account };
      const answer = await send({
        method: "POST",
        url: to,
        headers: { "content-type": "application/jose+json", accept },
        body: JSON.stringify(signRequest(key, payload, { url: to, nonce, ...who })),
      }, signal);
      keepNonce(answer);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const error = refusal(answer, to, clock);
      const isStale = error.problem !== undefined && problemName(error.problem) === "badNonce";
      if (!isStale || tries >= MOST_NONCES) throw error;
    }
  };

  const directory = readJson(DirectorySchema, await get(url), url);
  return {
    directory,
    key,
    useAccount(url) {
      account = url;
    },
    async createAccount({ contacts, eab }) {
      if (eab === undefined && directory.meta?.externalAccountRequired === true) {
        throw new AcmeError("the authority takes new accounts only with eab.kid and eab.hmac-key", { kind: "refused" });
      }
      const answer = await signed(directory.newAccount, {
        termsOfServiceAgreed: true,
        contact: contacts,
        ...(eab === undefined ? {} : { externalAccountBinding: bindAccount(key, eab, directory.newAccount) }),
      }, true);
      return locationOf(answer, directory.newAccount);
    },
    post: (to, payload, accept) => signed(to, payload, false, accept),
    get,
  };
}

/** The Location of an answer. @throws {AcmeError} if it has none */
export function locationOf(answer: HttpAnswer, url: string): string {
  const location = answer.header("location");
  if (location === undefined || !URL.canParse(location, url)) throw new AcmeError(`${url} gave no location`);
  return new URL(location, url).href;
}

/** Reads JSON of a known shape. @throws {AcmeError} if it is something else */
export function readJson<T>(schema: v.GenericSchema<unknown, T>, answer: HttpAnswer, url: string): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.body);
  } catch {
    throw new AcmeError(`${url} answered with something that is not JSON`);
  }
  const result = v.safeParse(schema, parsed);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new AcmeError(`the answer of ${url} is not as RFC 8555 has it: ${v.getDotPath(issue) ?? ""} ${issue.message}`);
}

/** When an answer wants the next request, in milliseconds since the epoch (RFC 9110 §10.2.3). */
export function retryAfter(answer: HttpAnswer, now: number): number | undefined {
  const text = answer.header("retry-after")?.trim();
  if (text === undefined) return undefined;
  const time = /^\d+$/.test(text) ? now + Number(text) * 1000 : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function refusal(answer: HttpAnswer, url: string, clock: Clock): AcmeError {
  const { status } = answer;
  const isProblem = answer.header("content-type")?.startsWith("application/problem+json") === true;
  let problem;
  try {
    problem = isProblem ? readProblem(JSON.parse(answer.body)) : undefined;
  } catch {
    // Not the document that it says it is; the status tells enough.
  }
  const notBefore = retryAfter(answer, clock.now());
  const words = problem === undefined ? `status ${status}` : problemText(problem);
  // Without a problem document it is a proxy or a server in trouble that speaks.
  const kind = problem === undefined ? "network" : "refused";
  return new AcmeError(`${url}: ${words}`, { kind, problem, notBefore });
}
