/**
 * An ACME authority inside the test (RFC 8555), reached by a function instead of HTTP: it checks signatures, nonces, URLs
 * and key authorizations, and issues certificates by the test's clock. Tests against a real one are in tests/interop.
 */

import { createHash, createPublicKey, verify } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { HttpAnswer, HttpRequest, SendRequest } from "../../src/acme/https.ts";
import type { Clock } from "../../src/clock/mod.ts";

/** What a test sets, and what it can look at. */
export interface TestAuthority {
  readonly send: SendRequest;
  readonly directory: string;
  /** Milliseconds that certificates are valid. */
  lifetime: number;
  /** Milliseconds for which they have been valid when they are issued. */
  age: number;
  /** Gives what is shown for a name and a token; what it must be is for the authority to know. */
  look: (domain: string, token: string) => Promise<string | undefined>;
  /** Answers that come instead of the usual one, by the end of the path, each once. */
  readonly instead: Map<string, Partial<{ status: number; headers: Record<string, string>; body: unknown }>[]>;
  /** When certificates are to be renewed (RFC 9773), if the authority says so at all. */
  renewal: { start: number; end: number } | undefined;
  /** Requests so far, as `POST /new-order`. */
  readonly asked: string[];
  /** Accounts by their URL. */
  readonly accounts: Map<
    string,
    { readonly jwk: JsonWebKey; readonly contact: readonly string[]; readonly bound: boolean }
  >;
  /** Identifiers and `replaces` of each order. */
  readonly orders: { readonly names: readonly string[]; readonly replaces: unknown }[];
  /** Whether it can be reached. */
  reachable: boolean;
  /** Challenges that are offered. */
  types: readonly string[];
}

const ROOT = "https://ca.example";
const DAY = 86_400_000;

interface Order {
  readonly names: readonly string[];
  readonly tokens: ReadonlyMap<string, string>;
  readonly account: string;
  readonly failed: Map<string, unknown>;
  readonly proved: Set<string>;
  certificate?: string;
}

/** Makes an authority whose certificates are valid for 90 days. */
export async function createAuthority(clock: Clock): Promise<TestAuthority> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const nonces = new Set<string>();
  const orders: Order[] = [];
  let serial = 0x1000;

  const issue = async (csr: string, ordered: readonly string[]): Promise<string> => {
    const request = new x509.Pkcs10CertificateRequest(Uint8Array.fromBase64(csr, { alphabet: "base64url" }));
    if (!await request.verify()) throw new Refusal(400, "badCSR", "the request is not signed");
    const names = request.getExtension("2.5.29.17");
    const asked = names === null ? [] : new x509.SubjectAlternativeNameExtension(names.rawData).names.toJSON();
    const wanted = asked.map(({ value }) => value).toSorted();
    if (wanted.join() !== ordered.toSorted().join()) throw new Refusal(400, "badCSR", `it is for ${wanted.join()}`);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (serial++).toString(16),
      subject: "CN=issued",
      issuer: "CN=test authority",
      notBefore: new Date(clock.now() - self.age),
      notAfter: new Date(clock.now() + self.lifetime),
      publicKey: await request.publicKey.export(),
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        ...names === null ? [] : [names],
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return `${certificate.toString("pem")}\n`;
  };

  const fresh = () => {
    const nonce = crypto.randomUUID();
    nonces.add(nonce);
    return nonce;
  };

  /** Checks a signed request. */
  const open = (url: string, text: string) => {
    const { protected: head, payload, signature } = JSON.parse(text);
    const decode = (part: string) => new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" }));
    const header = JSON.parse(decode(head));
    if (!nonces.delete(header.nonce)) throw new Refusal(400, "badNonce", "this nonce is not good");
    if (header.url !== url || header.alg !== "ES256") throw new Refusal(400, "malformed", "the header is wrong");
    // RFC 8555 §6.2: one of the two, the key for new accounts only.
    if ((header.jwk === undefined) === (header.kid === undefined)) throw new Refusal(400, "malformed", "jwk or kid");
    if ((header.jwk !== undefined) !== url.endsWith("/new-account")) {
      throw new Refusal(400, "malformed", "not this one");
    }
    const jwk: JsonWebKey | undefined = header.jwk ?? self.accounts.get(header.kid)?.jwk;
    if (jwk === undefined) throw new Refusal(400, "accountDoesNotExist", "there is no such account");
    const key = createPublicKey({ key: { ...jwk }, format: "jwk" });
    const bytes = Uint8Array.fromBase64(signature, { alphabet: "base64url" });
    const isSigned = verify("sha256", new TextEncoder().encode(`${head}.${payload}`), {
      key,
      dsaEncoding: "ieee-p1363",
    }, bytes);
    if (!isSigned) throw new Refusal(400, "malformed", "the signature is wrong");
    return {
      jwk,
      account: String(header.kid ?? ""),
      payload: payload === "" ? undefined : JSON.parse(decode(payload)),
    };
  };

  const orderAt = (index: string) => {
    const order = orders[Number(index)];
    if (order === undefined) throw new Refusal(404, "malformed", "no such order");
    return order;
  };

  const orderBody = (order: Order, index: number | string) => ({
    status: order.certificate !== undefined
      ? "valid"
      : order.failed.size > 0
      ? "invalid"
      : order.proved.size === order.tokens.size
      ? "ready"
      : "pending",
    authorizations: [...order.tokens.keys()].map((name) => `${ROOT}/authz/${index}/${name}`),
    finalize: `${ROOT}/finalize/${index}`,
    ...(order.certificate === undefined ? {} : { certificate: `${ROOT}/cert/${index}` }),
  });

  const respond = async (method: string, url: string, text: string): Promise<Reply> => {
    const path = url.slice(ROOT.length);
    const [, what = "", index = "", name = ""] = path.split("/");
    if (what === "directory") {
      return reply(200, {
        newNonce: `${ROOT}/new-nonce`,
        newAccount: `${ROOT}/new-account`,
        newOrder: `${ROOT}/new-order`,
        ...(self.renewal === undefined ? {} : { renewalInfo: `${ROOT}/renewal` }),
      });
    }
    if (what === "new-nonce") return reply(200, "", {});
    if (what === "renewal") {
      const { start = 0, end = 0 } = self.renewal ?? {};
      const window = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
      return reply(200, { suggestedWindow: window }, { "retry-after": "21600" });
    }
    if (method !== "POST") throw new Refusal(405, "malformed", "only POST here");
    const { jwk, account, payload } = open(url, text);
    // RFC 8555 §6.3: what is only read has an empty payload.
    if (["order", "authz", "cert"].includes(what) !== (payload === undefined)) {
      throw new Refusal(400, "malformed", "POST-as-GET is for reading");
    }
    if (["order", "authz", "cert", "challenge", "finalize"].includes(what) && orderAt(index).account !== account) {
      throw new Refusal(403, "unauthorized", "the order of another account");
    }
    switch (what) {
      case "new-account": {
        const known = [...self.accounts].find(([, one]) => one.jwk.x === jwk.x);
        const location = known?.[0] ?? `${ROOT}/account/${self.accounts.size + 1}`;
        if (payload.termsOfServiceAgreed !== true) throw new Refusal(403, "userActionRequired", "agree first");
        if (known === undefined) {
          const bound = payload.externalAccountBinding !== undefined;
          self.accounts.set(location, { jwk, contact: payload.contact, bound });
        }
        return reply(known === undefined ? 201 : 200, { status: "valid" }, { location });
      }
      case "new-order": {
        const names: string[] = payload.identifiers.map(({ value }: { value: string }) => value);
        const order: Order = {
          names,
          tokens: new Map(names.map((one) => [one, crypto.randomUUID()])),
          account,
          failed: new Map(),
          proved: new Set(),
        };
        self.orders.push({ names, replaces: payload.replaces });
        const at = orders.push(order) - 1;
        return reply(201, orderBody(order, at), { location: `${ROOT}/order/${at}` });
      }
      case "account": {
        const known = self.accounts.get(account);
        if (known === undefined || account !== url) throw new Refusal(401, "unauthorized", "not your account");
        self.accounts.set(account, { ...known, contact: payload.contact });
        return reply(200, { status: "valid" });
      }
      case "order":
        return reply(200, orderBody(orderAt(index), index));
      case "authz": {
        const order = orderAt(index);
        const error = order.failed.get(name);
        return reply(200, {
          status: error !== undefined ? "invalid" : order.proved.has(name) ? "valid" : "pending",
          identifier: { type: "dns", value: name.replace(/^\*\./, "") },
          challenges: self.types.map((type) => ({
            type,
            url: `${ROOT}/challenge/${index}/${name}`,
            token: order.tokens.get(name),
            ...(error === undefined ? {} : { error }),
          })),
        });
      }
      case "challenge": {
        const order = orderAt(index);
        const token = order.tokens.get(name) ?? "";
        const { crv, kty, x, y } = self.accounts.get(account)?.jwk ?? {};
        const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
        const shown = await self.look(name.replace(/^\*\./, ""), token);
        if (shown === `${token}.${thumbprint}`) order.proved.add(name);
        else order.failed.set(name, { type: "urn:ietf:params:acme:error:unauthorized", detail: `found ${shown}` });
        return reply(200, { status: "processing" });
      }
      case "finalize": {
        const order = orderAt(index);
        if (order.proved.size < order.tokens.size) throw new Refusal(403, "orderNotReady", "prove the names first");
        order.certificate = await issue(payload.csr, order.names);
        return reply(200, orderBody(order, index));
      }
      case "cert":
        return reply(200, orderAt(index).certificate ?? "", { "content-type": "application/pem-certificate-chain" });
    }
    throw new Refusal(404, "malformed", `nothing at ${path}`);
  };

  const self: TestAuthority = {
    directory: `${ROOT}/directory`,
    lifetime: 90 * DAY,
    age: 0,
    look: () => Promise.resolve(undefined),
    instead: new Map(),
    renewal: undefined,
    asked: [],
    accounts: new Map(),
    orders: [],
    reachable: true,
    types: ["http-01", "tls-alpn-01", "dns-01"],
    async send({ method, url, body = "" }: HttpRequest, signal: AbortSignal) {
      self.asked.push(`${method} ${url.slice(ROOT.length)}`);
      if (!self.reachable) {
        const { AcmeError } = await import("../../src/acme/problem.ts");
        throw new AcmeError(`${method} ${url}: nobody is there`, { kind: "network" });
      }
      const planned = [...self.instead].find(([end]) => url.endsWith(end))?.[1].shift();
      let answer: Reply;
      try {
        answer = planned === undefined
          ? await Promise.race([respond(method, url, body), aborted(signal)])
          : reply(planned.status ?? 500, planned.body ?? {}, {
            "content-type": "application/problem+json",
            ...planned.headers,
          });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        answer = reply(error.status, {
          type: `urn:ietf:params:acme:error:${error.type}`,
          detail: error.message,
        }, { "content-type": "application/problem+json" });
      }
      const headers: Record<string, string> = { "replay-nonce": fresh(), ...answer.headers };
      return { status: answer.status, body: answer.body, header: (name: string) => headers[name] } satisfies HttpAnswer;
    },
  };
  return self;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function reply(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers, body: typeof body === "string" ? body : JSON.stringify(body) };
}

class Refusal extends Error {
  constructor(readonly status: number, readonly type: string, detail: string) {
    super(detail);
  }
}
