/** What the outcome of a script comes to at a stage. */

import { eightBitClean } from "../../message/mod.ts";
import { type Action, messageBytes, type Outcome, type SieveMessage } from "../../sieve/mod.ts";
import type { FiledCopy } from "../../smtp/mod.ts";
import type { FilteredTransaction, Modification, Stage } from "../filter.ts";

/** What a script did with its message. */
export interface Conclusion {
  readonly refusal: string | undefined;
  /** Whether the refusal has to happen in the protocol, or by a delivery report (`ereject`). */
  readonly byProtocol: boolean;
  /** Whether the message lives on; false if it was dropped, or only redirected. */
  readonly kept: boolean;
  /** Whether the script dropped it itself, whatever comes of redirections. */
  readonly discarded: boolean;
  /** For local delivery; empty if it is to be as usual. */
  readonly copies: readonly FiledCopy[];
  /** Whether nothing was said but that the message is kept. */
  readonly plain: boolean;
  /** Names of actions that are not possible at the stage. */
  readonly unsupported: readonly string[];
  /** Actions that send something and are possible at the stage. */
  readonly sending: readonly Action[];
}

/** Reads an outcome. */
export function conclude({ actions, implicitKeep }: Outcome, stage: Stage): Conclusion {
  const unsupported = new Set<string>();
  const sending: Action[] = [];
  const copies: FiledCopy[] = [];
  const hasRecipient = stage === "rcpt" || stage === "data";
  let refusal: string | undefined;
  let byProtocol = false;
  let kept = implicitKeep !== undefined;
  let discarded = false;
  const keep = (name: string, copy: FiledCopy) => {
    kept = true;
    if (hasRecipient) copies.push(copy);
    else if (name !== "") unsupported.add(name);
  };
  for (const action of implicitKeep === undefined ? actions : [...actions, implicitKeep]) {
    switch (action.kind) {
      case "keep":
        keep(action.flags === undefined ? "" : ":flags", withFlags({}, action.flags));
        break;
      case "store":
        keep("fileinto", withFlags({ mailbox: action.mailbox }, action.flags));
        break;
      case "redirect":
        // Before there is a message nothing can be sent on.
        if (stage === "data") sending.push(action);
        else {
          unsupported.add("redirect");
          kept = true;
        }
        break;
      case "notify":
      case "vacation":
        sending.push(action);
        if (action.fcc !== undefined) unsupported.add(":fcc");
        break;
      case "discard":
        discarded = true;
        break;
      case "reject":
        refusal = action.text;
        byProtocol = action.protocol;
        break;
    }
  }
  const usual = copies.every(({ mailbox, flags }) => mailbox === undefined && flags === undefined);
  return {
    refusal,
    byProtocol,
    kept,
    discarded,
    copies: usual ? [] : copies,
    plain: kept && usual,
    unsupported: [...unsupported],
    sending,
  };
}

function withFlags(copy: FiledCopy, flags: readonly string[] | undefined): FiledCopy {
  return flags === undefined ? copy : { ...copy, flags };
}

/** What the edits of a script make of the message at the end of the data. */
export async function messageChanges(
  transaction: FilteredTransaction,
  before: SieveMessage,
  after: SieveMessage,
): Promise<readonly Modification[]> {
  if (after === before) return [];
  if (after.body === before.body) return [{ kind: "replace-header", head: after.head }];
  const bytes = await messageBytes(after);
  const { body } = transaction.parameters;
  const replaced: Modification = { kind: "replace-message", bytes };
  // RFC 6152: what a script has written need not be what the client has announced.
  if (body !== undefined && body !== "7bit" || eightBitClean(bytes)) return [replaced];
  const parameters = { ...transaction.parameters, body: "8bitmime" } as const;
  return [replaced, { kind: "sender", address: transaction.sender, parameters }];
}
