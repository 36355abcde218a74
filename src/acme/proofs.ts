/** Proofs that this server shows itself, by HTTP and by TLS; every node shows those of all nodes. */

import type { Clock } from "../clock/mod.ts";
import type { ChallengeCertificates } from "../net/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { ChallengeSolver, Proof } from "./challenge.ts";
import type { AcmeRecords } from "./records.ts";
import { type CertificateWithKey, challengeCertificate } from "./x509.ts";

/** What is shown at the moment. */
export interface ProofBoard {
  /** Shows proofs by `http-01` or `tls-alpn-01`. */
  solver(type: "http-01" | "tls-alpn-01"): ChallengeSolver;
  /** The answer to `GET /.well-known/acme-challenge/<token>` (RFC 8555 §8.3). */
  httpAnswer(token: string): Promise<string | undefined>;
  /** Answers to validation by TLS (RFC 8737). */
  readonly tls: ChallengeCertificates;
}

/** What the board works with. */
export interface BoardOptions {
  readonly clock: Clock;
  readonly emit: Emit;
  /** `undefined` until there is a store. */
  records(): AcmeRecords | undefined;
  /** Names that are proved by TLS, in the configuration in force. */
  tlsNames(): ReadonlySet<string>;
}

/** What no node takes away, because the one that showed it died, is shown for so long, in milliseconds. */
const LONGEST_SHOWN = 3_600_000;

/** What became of the proof of a name is told once in so many milliseconds. */
const TELL = 60_000;

/** RFC 8555 §8.3: base64url. */
const TOKEN = /^[\w-]{16,256}$/;

/** Makes an empty board. */
export function createProofBoard({ clock, emit, records, tlsNames }: BoardOptions): ProofBoard {
  /** Key authorizations by what they are asked for. */
  const shown = new Map<string, string>();
  const certificates = new Map<string, Promise<CertificateWithKey>>();

  /** When it was told last what became of a proof, by event and name. */
  const told = new Map<string, number>();
  let reading: Promise<unknown> | undefined;
  let next: Promise<ReadonlyMap<string, string> | undefined> | undefined;

  /** What the nodes show. All who ask while the store is read share the read after that: strangers may ask, too. */
  const shownByNodes = (): NonNullable<typeof next> =>
    next ??= (async () => {
      await reading;
      next = undefined;
      const read = records()?.proofs(clock.now());
      reading = read?.catch(() => {});
      return await read;
    })();

  const find = async (name: string): Promise<string | undefined> => {
    const own = shown.get(name);
    if (own !== undefined) return own;
    try {
      return (await shownByNodes())?.get(name);
    } catch {
      // Another node may have it; without the store nobody here can know.
      return undefined;
    }
  };

  return {
    solver(type) {
      const nameOf = (proof: Proof) => `${type} ${type === "http-01" ? proof.token : proof.domain}`;
      return {
        type,
        async present(proofs) {
          for (const proof of proofs) shown.set(nameOf(proof), proof.keyAuthorization);
          const all = proofs.map((proof) => [nameOf(proof), proof.keyAuthorization] as const);
          await records()?.showProofs(all, clock.now() + LONGEST_SHOWN);
        },
        async withdraw(proofs) {
          for (const proof of proofs) {
            shown.delete(nameOf(proof));
            certificates.delete(proof.keyAuthorization);
          }
          // What stays in the store by accident ends by itself.
          await records()?.hideProofs(proofs.map(nameOf), clock.now()).catch(() => {});
        },
      };
    },
    async httpAnswer(token) {
      const answer = TOKEN.test(token) ? await find(`http-01 ${token}`) : undefined;
      if (answer === undefined) emit("acme.token-not-found", { token });
      return answer;
    },
    tls: {
      expected: () => tlsNames().size > 0,
      async certificate(serverName) {
        const domain = serverName.toLowerCase();
        // Only names of ours are worth a look into the store.
        const answer = tlsNames().has(domain) ? await find(`tls-alpn-01 ${domain}`) : undefined;
        if (answer === undefined) {
          emit("acme.token-not-found", { domain });
          return undefined;
        }
        let made = certificates.get(answer);
        if (made === undefined) {
          // Those of other nodes are not taken away by anybody here.
          if (certificates.size > 100) certificates.clear();
          certificates.set(answer, made = challengeCertificate(domain, answer, clock.now()));
        }
        return await made;
      },
      shown(serverName, failure) {
        const domain = serverName.toLowerCase();
        const name = failure === undefined ? "acme.tls-alpn-received" : "acme.tls-alpn-error";
        // Anybody can come while an order is under way, and as often as they like.
        const now = clock.now();
        if (now < (told.get(`${name} ${domain}`) ?? -Infinity) + TELL) return;
        told.set(`${name} ${domain}`, now);
        emit(name, { domain, reason: failure });
      },
    },
  };
}
