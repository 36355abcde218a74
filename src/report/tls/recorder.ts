/** Counts what TLS with the hosts of a domain comes to, for TLS reports (RFC 8460). */

import { createHash } from "node:crypto";
import type { ReportedPolicy, TlsResult, TlsResults, TlsResultType } from "../../outbound/mod.ts";
import { createGatherer, type GathererOptions } from "../aggregate/gatherer.ts";

/** Takes results and writes them to the ledger. */
export interface TlsResultRecorder extends TlsResults {
  /** Writes what has been counted. Does not reject. */
  flush(): Promise<void>;
  /** Writes what is left and stops. */
  close(): Promise<void>;
}

/** The policies that a report is about, by a short key. */
export type PoliciesByKey = Readonly<Record<string, ReportedTlsPolicy>>;

/** What is told of a policy beside its domain. */
export type ReportedTlsPolicy = Pick<ReportedPolicy, "type" | "strings" | "mxHosts">;

/** What was counted for one policy, as a row of the ledger. */
export interface TlsRow {
  /** A key of {@link PoliciesByKey}. */
  readonly policy: string;
  /** `""` where all was well. */
  readonly result: TlsResultType | "";
  /** `""` where it is not known, here and below. */
  readonly localIp: string;
  readonly host: string;
  readonly remoteIp: string;
  /** For people. */
  readonly details: string;
}

/** Milliseconds between two writes. */
const PAUSE = 60_000;
const LONGEST_DETAILS = 300;

/** Makes a recorder. */
export function createTlsResultRecorder(
  options: Pick<GathererOptions<PoliciesByKey>, "store" | "clock" | "intervalOf" | "reporter">,
): TlsResultRecorder {
  const known = new WeakMap<ReportedPolicy, PoliciesByKey>();
  const gatherer = createGatherer<PoliciesByKey>({
    ...options,
    kind: "tls",
    describe: (policies) => JSON.stringify(policies),
    merge: (earlier, later) => earlier === later ? earlier : { ...earlier, ...later },
    // Failures of new kinds are counted without their hosts.
    shorten: (result) => {
      const { policy, result: type } = decodeTlsRow(result);
      return encodeTlsRow({ policy, result: type, localIp: "", host: "", remoteIp: "", details: "" });
    },
    pause: PAUSE,
  });
  return {
    record({ policy, failure }: TlsResult) {
      let about = known.get(policy);
      if (about === undefined) known.set(policy, about = keyed(policy));
      const row = encodeTlsRow({
        policy: Object.keys(about)[0] ?? "",
        result: failure?.type ?? "",
        localIp: failure?.localIp ?? "",
        host: failure?.host ?? "",
        remoteIp: failure?.remoteIp ?? "",
        details: (failure?.details ?? "").slice(0, LONGEST_DETAILS),
      });
      gatherer.count(policy.domain, about, row);
    },
    flush: gatherer.flush,
    close: gatherer.close,
  };
}

function keyed({ type, strings, mxHosts }: ReportedPolicy): PoliciesByKey {
  const policy: ReportedTlsPolicy = {
    type,
    ...(strings === undefined ? {} : { strings }),
    ...(mxHosts === undefined ? {} : { mxHosts }),
  };
  if (strings === undefined) return { [type]: policy };
  const digest = createHash("sha256").update(JSON.stringify(policy)).digest("base64url").slice(0, 22);
  return { [`${type} ${digest}`]: policy };
}

function encodeTlsRow({ policy, result, localIp, host, remoteIp, details }: TlsRow): string {
  return JSON.stringify([policy, result, localIp, host, remoteIp, details]);
}

/** A row of the ledger. */
export function decodeTlsRow(text: string): TlsRow {
  const [policy, result, localIp, host, remoteIp, details] = JSON.parse(text);
  return { policy, result, localIp, host, remoteIp, details };
}
