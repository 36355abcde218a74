/** Aggregate reports that are gathered, waiting or done, as people see and cancel them. */

import type { Store } from "../../store/mod.ts";
import { decodeRow, type DmarcRow } from "../dmarc/row.ts";
import { decodeTlsRow, type TlsRow } from "../tls/recorder.ts";
import {
  cancelOutgoing,
  type LedgerFilter,
  type LedgerView,
  listOutgoing,
  mostFrequent,
  showOutgoing,
} from "./ledger.ts";

/** A report as people see it; times in ISO 8601. */
export interface OutgoingReportView extends Omit<LedgerView, "id"> {
  /** Such as `out-12`. */
  readonly id: string;
}

/** A report with what it will say. */
export interface OutgoingReportDetail extends OutgoingReportView {
  /** The policy, or for TLS the policies, that it is about. */
  readonly about: unknown;
  /** What was counted, the most frequent first. Gone when the report is done. */
  readonly counted: readonly OutgoingCount[];
}

/** What was counted, and how often. */
export type OutgoingCount = { readonly count: number } & (DmarcRow | TlsRow);

/** Which reports are wanted. */
export interface OutgoingReportFilter extends Omit<LedgerFilter, "after"> {
  /** Only reports that were begun after this one. */
  readonly after?: string;
}

/** Reports that go out. Everything may reject with `StoreUnavailable`. */
export interface OutgoingReports {
  /** Reports in the order in which they were begun. */
  list(filter: OutgoingReportFilter): Promise<readonly OutgoingReportView[]>;
  /** One report; undefined if there is none of this id. */
  show(id: string): Promise<OutgoingReportDetail | undefined>;
  /** Cancels a report: it is not sent, and nothing more is counted for it. False if it does not wait. */
  cancel(id: string): Promise<boolean>;
}

const PREFIX = "out-";
const MOST_COUNTS = 1000;

/** Whether an id is one of a report that goes out. */
export function isOutgoingId(id: string): boolean {
  return numberOf(id) !== undefined;
}

function numberOf(id: string): number | undefined {
  const [, digits] = /^out-(\d{1,15})$/i.exec(id) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The reports in a store. */
export function outgoingReports(store: Store): OutgoingReports {
  return {
    async list({ after, ...filter }) {
      const start = after === undefined ? {} : { after: numberOf(after) ?? 0 };
      return (await listOutgoing(store, { ...filter, ...start })).map(named);
    },
    async show(id) {
      const number = numberOf(id);
      const found = number === undefined ? undefined : await showOutgoing(store, number);
      if (number === undefined || found === undefined) return undefined;
      const { about, ...view } = found;
      const counted = await mostFrequent(store, number, MOST_COUNTS);
      return {
        ...named(view),
        about: JSON.parse(about),
        counted: counted.map(({ result, count }) => ({
          count,
          ...(view.kind === "dmarc" ? decodeRow(result) : decodeTlsRow(result)),
        })),
      };
    },
    async cancel(id) {
      const number = numberOf(id);
      return number !== undefined && await cancelOutgoing(store, number);
    },
  };
}

function named(view: LedgerView): OutgoingReportView {
  return { ...view, id: `${PREFIX}${view.id}` };
}
