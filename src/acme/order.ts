/** One order, from the names to the certificate (RFC 8555 §7.4, §7.5). */

import * as v from "valibot";
import type { Clock } from "../clock/mod.ts";
import type { ChallengeSolver, Proof } from "./challenge.ts";
import { type AcmeClient, locationOf, readJson, retryAfter } from "./client.ts";
import type { HttpAnswer } from "./https.ts";
import { base64url, keyAuthorization } from "./jws.ts";
import { AcmeError, problemText, readProblem } from "./problem.ts";
import { wait } from "./wait.ts";

/** What is ordered, and how the names are proved. */
export interface OrderRequest {
  /** In lower case; `*.` stands for one label. */
  readonly domains: readonly string[];
  /** Certificate that this one follows, by RFC 9773 §4.1. */
  readonly replaces: string | undefined;
  /** The request for the certificate (PKCS #10), DER. */
  readonly csr: Uint8Array;
  readonly solver: ChallengeSolver;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Names of an order that are looked at; authorities that are in use take a hundred. */
const MOST_AUTHORIZATIONS = 1_000;

const OrderSchema = v.object({
  status: v.picklist(["pending", "ready", "processing", "valid", "invalid"]),
  authorizations: v.pipe(v.array(v.string()), v.maxLength(MOST_AUTHORIZATIONS)),
  finalize: v.string(),
  certificate: v.optional(v.string()),
  error: v.optional(v.unknown()),
});
type Order = v.InferOutput<typeof OrderSchema>;

const AuthorizationSchema = v.object({
  status: v.picklist(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  identifier: v.object({ type: v.string(), value: v.string() }),
  challenges: v.array(v.object({
    type: v.string(),
    url: v.string(),
    status: v.optional(v.string()),
    token: v.optional(v.string()),
    error: v.optional(v.unknown()),
  })),
});
type Authorization = v.InferOutput<typeof AuthorizationSchema>;

/** Pauses between two looks at what the authority does, in milliseconds; the last is the longest it can ask for. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
const LONGEST_WISH = 300_000;

/** What an authority sends that is taken for a token; anything else could end up in a path or a record (RFC 8555 §8.1). */
const TOKEN = /^[\w-]{16,256}$/;

/**
 * Orders a certificate.
 *
 * @returns the chain in PEM, the certificate itself first
 * @throws {AcmeError} (rejects) if it is refused, or a name cannot be proved
 */
export async function orderCertificate(client: AcmeClient, request: OrderRequest): Promise<string> {
  const { domains, replaces, signal } = request;
  const { newOrder } = client.directory;
  const answer = await client.post(newOrder, {
    identifiers: domains.map((value) => ({ type: "dns", value })),
    ...(replaces === undefined ? {} : { replaces }),
  });
  const url = locationOf(answer, newOrder);
  let order = readJson(OrderSchema, answer, newOrder);
  if (order.status === "pending") {
    await prove(client, order, request);
    order = await settled(client, url, ["ready", "valid"], request);
  }
  if (order.status === "ready") {
    await client.post(order.finalize, { csr: base64url(request.csr) });
    order = await settled(client, url, ["valid"], request);
  } else if (order.status !== "valid") {
    order = await settled(client, url, ["valid"], request);
  }
  if (order.certificate === undefined) throw new AcmeError("the order is valid and names no certificate");
  signal.throwIfAborted();
  return (await client.post(order.certificate, undefined, "application/pem-certificate-chain")).body;
}

/** Waits until an order has one of the states. */
async function settled(
  client: AcmeClient,
  url: string,
  states: readonly Order["status"][],
  { clock, signal }: OrderRequest,
): Promise<Order> {
  for (let round = 0;; round++) {
    const answer = await client.post(url);
    const order = readJson(OrderSchema, answer, url);
    if (states.includes(order.status)) return order;
    if (order.status === "invalid") {
      const problem = order.error === undefined ? undefined : readProblem(order.error);
      throw new AcmeError(
        problem === undefined ? "the authority made the order invalid" : problemText(problem),
        { kind: "refused", problem },
      );
    }
    await pause(answer, round, clock, signal);
  }
}

/** Shows the proofs that are missing, and waits for the authority to look at them. */
async function prove(client: AcmeClient, order: Order, request: OrderRequest): Promise<void> {
  const { domains, solver, signal } = request;
  const ordered = new Set(domains.map((domain) => domain.replace(/^\*\./, "")));
  const proofs: (Proof & { readonly challenge: string; readonly authorization: string })[] = [];
  for (const url of order.authorizations) {
    const authorization = readJson(AuthorizationSchema, await client.post(url), url);
    if (authorization.status === "valid") continue;
    const domain = authorization.identifier.value.toLowerCase();
    if (authorization.status !== "pending") throw refused(authorization);
    // Where records are made for proofs, it is not for others to say for which names.
    if (!ordered.has(domain)) {
      throw new AcmeError(`the authority wants a proof for ${domain}, which was not ordered`, { kind: "refused" });
    }
    const challenge = authorization.challenges.find(({ type }) => type === solver.type);
    const token = challenge?.token;
    if (challenge === undefined || token === undefined) {
      const offered = authorization.challenges.map(({ type }) => type).join(", ");
      throw new AcmeError(
        `${domain}: the authority does not offer ${solver.type} for it, only ${offered || "nothing"}`,
        {
          kind: "authorization",
        },
      );
    }
    if (!TOKEN.test(token)) throw new AcmeError(`${domain}: the authority gave a token that is none`);
    proofs.push({
      domain,
      token,
      keyAuthorization: keyAuthorization(token, client.key),
      challenge: challenge.url,
      authorization: url,
    });
  }
  if (proofs.length === 0) return;
  try {
    await solver.present(proofs, signal);
    for (const { challenge } of proofs) await client.post(challenge, {});
    for (const { authorization } of proofs) await proved(client, authorization, request);
  } finally {
    await solver.withdraw(proofs);
  }
}

async function proved(client: AcmeClient, url: string, { clock, signal }: OrderRequest): Promise<void> {
  for (let round = 0;; round++) {
    const answer = await client.post(url);
    const authorization = readJson(AuthorizationSchema, answer, url);
    if (authorization.status === "valid") return;
    if (authorization.status !== "pending") throw refused(authorization);
    await pause(answer, round, clock, signal);
  }
}

function refused({ identifier, status, challenges }: Authorization): AcmeError {
  const error = challenges.find((challenge) => challenge.error !== undefined)?.error;
  const problem = error === undefined ? undefined : readProblem(error);
  const words = problem === undefined ? `the authorization is ${status}` : problemText(problem);
  return new AcmeError(`${identifier.value}: ${words}`, { kind: "authorization", problem });
}

/** As long as the authority asks for (RFC 8555 §7.4, §7.5.1), within bounds; without a wish longer each time. */
async function pause(answer: HttpAnswer, round: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const wish = retryAfter(answer, clock.now());
  const length = wish === undefined
    ? Math.min(FIRST_PAUSE * 1.5 ** Math.min(round, 20), LONGEST_PAUSE)
    : Math.min(Math.max(wish - clock.now(), FIRST_PAUSE), LONGEST_WISH);
  await wait(clock, length, signal);
}
