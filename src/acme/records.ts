/** What nodes share about certificates: the certificates, the accounts, whose turn it is, and the proofs of the moment. */

import type { Store } from "../store/mod.ts";
import type { CertificateWithKey } from "./x509.ts";

/** A certificate as the store has it. Times are milliseconds since the epoch. */
export interface CertificateRecord {
  /** Absent until the first one has arrived. */
  readonly certificate: CertificateWithKey | undefined;
  /** Begin of its validity; the later one of two is the one in use. */
  readonly issued: number;
  /** When somebody has to look at it again. */
  readonly next: number;
  /** Nothing is to be asked of the authority before, by its own word. */
  readonly barred: number;
  /** Orders that failed since the last one that did not. */
  readonly failures: number;
  /** Nobody else works on it until then. */
  readonly until: number;
  readonly owner: string;
}

/** A key, of an account at an authority or of certificates. */
export interface KeyRecord {
  readonly privateKey: string;
  /** URL of the account, `""` if it has not been made yet. */
  readonly url: string;
}

/** The tables. Every method rejects with `StoreUnavailable` while there is no store. */
export interface AcmeRecords {
  certificate(id: string): Promise<CertificateRecord | undefined>;
  /** Stores a certificate unless there is a later one. */
  publish(id: string, certificate: CertificateWithKey, issued: number): Promise<void>;
  /** Takes the turn, or keeps it. @returns whether it is ours */
  claim(id: string, owner: string, now: number, until: number): Promise<boolean>;
  /** Gives the turn back, and says when the next one is. */
  release(id: string, owner: string, plan: { next: number; barred: number; failures: number }): Promise<void>;
  key(id: string): Promise<KeyRecord | undefined>;
  /** Stores a key; one that is there already stays. @returns what is there then */
  keepKey(id: string, key: KeyRecord): Promise<KeyRecord>;
  /** Forgets that the authority knows the key. */
  forgetAccount(id: string): Promise<void>;
  /** The proofs of the moment, by kind and name or token, such as `http-01 <token>`. */
  proofs(now: number): Promise<ReadonlyMap<string, string>>;
  showProofs(proofs: readonly (readonly [name: string, answer: string])[], until: number): Promise<void>;
  /** Removes proofs, and all whose time is over. */
  hideProofs(names: readonly string[], now: number): Promise<void>;
}

const FIND =
  "SELECT chain, private_key, issued, next, barred, failures, until, owner FROM acme_certificates WHERE id = ?";

const PUBLISH = `INSERT INTO acme_certificates (id, chain, private_key, issued) VALUES (?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET chain = excluded.chain, private_key = excluded.private_key, issued = excluded.issued
  WHERE excluded.issued >= issued`;

const CLAIM = `INSERT INTO acme_certificates (id, owner, until) VALUES (?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, until = excluded.until
  WHERE owner = excluded.owner OR until < ?`;

const RELEASE = `UPDATE acme_certificates SET next = ?, barred = ?, failures = ?, owner = '', until = 0
  WHERE id = ? AND owner = ?`;

const KEEP_KEY = `INSERT INTO acme_keys (id, private_key, url) VALUES (?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET url = excluded.url WHERE private_key = excluded.private_key`;

const SHOW = `INSERT INTO acme_proofs (name, answer, until) VALUES (?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET answer = excluded.answer, until = excluded.until`;

const PROOFS = "SELECT name, answer FROM acme_proofs WHERE until > ? ORDER BY until DESC LIMIT ?";

/** Proofs that are read; an order has a hundred at most with authorities that are in use. */
const MOST_PROOFS = 10_000;

/** The tables in a store. */
export function acmeRecords(store: Store): AcmeRecords {
  const key = async (id: string): Promise<KeyRecord | undefined> => {
    const { rows: [row] } = await store.read("SELECT private_key, url FROM acme_keys WHERE id = ?", [id]);
    return row === undefined ? undefined : { privateKey: String(row[0]), url: String(row[1]) };
  };
  return {
    async certificate(id) {
      const { rows: [row] } = await store.read(FIND, [id]);
      if (row === undefined) return undefined;
      const [chain, privateKey, issued, next, barred, failures, until, owner] = row;
      return {
        certificate: chain === "" ? undefined : { cert: String(chain), privateKey: String(privateKey) },
        issued: Number(issued),
        next: Number(next),
        barred: Number(barred),
        failures: Number(failures),
        until: Number(until),
        owner: String(owner),
      };
    },
    async publish(id, { cert, privateKey }, issued) {
      await store.write([{ sql: PUBLISH, args: [id, cert, privateKey, issued] }]);
    },
    async claim(id, owner, now, until) {
      const [result] = await store.write([{ sql: CLAIM, args: [id, owner, until, now] }]);
      return result?.changes === 1;
    },
    async release(id, owner, { next, barred, failures }) {
      await store.write([{ sql: RELEASE, args: [next, barred, failures, id, owner] }]);
    },
    key,
    async keepKey(id, wanted) {
      await store.write([{ sql: KEEP_KEY, args: [id, wanted.privateKey, wanted.url] }]);
      return await key(id) ?? wanted;
    },
    async forgetAccount(id) {
      await store.write([{ sql: "UPDATE acme_keys SET url = '' WHERE id = ?", args: [id] }]);
    },
    async proofs(now) {
      const { rows } = await store.read(PROOFS, [now, MOST_PROOFS]);
      return new Map(rows.map(([name, answer]) => [String(name), String(answer)]));
    },
    async showProofs(proofs, until) {
      await store.write(proofs.map(([name, answer]) => ({ sql: SHOW, args: [name, answer, until] })));
    },
    async hideProofs(names, now) {
      await store.write([
        ...names.map((name) => ({ sql: "DELETE FROM acme_proofs WHERE name = ?", args: [name] })),
        { sql: "DELETE FROM acme_proofs WHERE until < ?", args: [now] },
      ]);
    },
  };
}
