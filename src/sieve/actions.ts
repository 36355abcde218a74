/** What a script wants done. Actions are data; who runs the script carries them out. */

import type { SieveMessage } from "./message.ts";

/** Every action holds the message as it was when the action was taken: later edits do not reach it (RFC 5293 §6). */
interface Acting {
  readonly message: SieveMessage;
}

/** A complete message that a script sends. Addresses without angle brackets; `""` is the null sender. */
export interface OutgoingMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly bytes: Uint8Array;
}

/** Where a copy of sent mail is filed (RFC 8580). */
export interface FileCopy {
  readonly mailbox: string;
  readonly flags?: readonly string[];
  readonly create?: boolean;
  readonly specialUse?: string;
  readonly mailboxId?: string;
}

/** `keep` (RFC 5228 §4.3). */
export interface KeepAction extends Acting {
  readonly kind: "keep";
  /** IMAP flags (RFC 5232); undefined if the script says nothing of them. */
  flags?: readonly string[];
}

/** `fileinto` (RFC 5228 §4.1). */
export interface StoreAction extends Acting {
  readonly kind: "store";
  /** UTF-8 name with the separator as the script wrote it. */
  readonly mailbox: string;
  flags?: readonly string[];
  /** RFC 3894: the implicit keep stays. */
  copy?: boolean;
  /** RFC 5490 §3.2: create the mailbox if it is missing. */
  create?: boolean;
  /** RFC 8579 §4: the mailbox with this attribute is wanted first. */
  specialUse?: string;
  /** RFC 9042: the mailbox with this id is wanted first. */
  mailboxId?: string;
}

/** `redirect` (RFC 5228 §4.2). */
export interface RedirectAction extends Acting {
  readonly kind: "redirect";
  /** `local@domain`. */
  readonly address: string;
  copy?: boolean;
  /** RFC 6009 §5: NOTIFY and RET for the copy. */
  notify?: string;
  ret?: string;
  /** RFC 6009 §7. */
  by?: {
    readonly seconds: number;
    readonly absolute?: string;
    readonly mode: "notify" | "return";
    readonly trace: boolean;
  };
}

/** `discard` (RFC 5228 §4.4). */
export interface DiscardAction extends Acting {
  readonly kind: "discard";
}

/** `reject` and `ereject` (RFC 5429). */
export interface RejectAction extends Acting {
  readonly kind: "reject";
  readonly text: string;
  /** Whether the refusal has to happen in the protocol (`ereject`). */
  readonly protocol: boolean;
}

/** A vacation reply (RFC 5230). */
export interface VacationAction extends Acting {
  readonly kind: "vacation";
  /** Missing if none is due: the sender had one, or must not have any. */
  readonly mail?: OutgoingMail;
  fcc?: FileCopy;
}

/** A notification (RFC 5435). */
export interface NotifyAction extends Acting {
  readonly kind: "notify";
  /** The URI of the method. */
  readonly method: string;
  /** For `mailto:` (RFC 5436). */
  readonly mail?: OutgoingMail;
  fcc?: FileCopy;
}

export type Action =
  | KeepAction
  | StoreAction
  | RedirectAction
  | DiscardAction
  | RejectAction
  | VacationAction
  | NotifyAction;
