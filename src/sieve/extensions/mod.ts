/** All extensions. A new one is a file beside this one and a line in this list. */

import type { Extension } from "../definition.ts";
import { body } from "./body.ts";
import { comparators } from "./comparators.ts";
import { convert } from "./convert.ts";
import { copy } from "./copy.ts";
import { date } from "./date.ts";
import { debug } from "./debug.ts";
import { deliveryParameters } from "./delivery_parameters.ts";
import { duplicate } from "./duplicate.ts";
import { editheader } from "./editheader.ts";
import { encodedCharacter } from "./encoded_character.ts";
import { enotify } from "./enotify.ts";
import { environment } from "./environment.ts";
import { envelope } from "./envelope.ts";
import { expressions } from "./expressions.ts";
import { extlists } from "./extlists.ts";
import { fcc } from "./fcc.ts";
import { fileinto } from "./fileinto.ts";
import { ihave } from "./ihave.ts";
import { imap4flags } from "./imap4flags.ts";
import { include } from "./include.ts";
import { mailbox } from "./mailbox.ts";
import { mime } from "./mime.ts";
import { regex } from "./regex.ts";
import { reject } from "./reject.ts";
import { relational } from "./relational.ts";
import { spamtest } from "./spamtest.ts";
import { replace } from "./replace.ts";
import { mailboxChoice } from "./special_use.ts";
import { subaddress } from "./subaddress.ts";
import { vacation } from "./vacation.ts";
import { variables } from "./variables.ts";

export const EXTENSIONS: readonly Extension[] = [
  ...body,
  ...comparators,
  ...convert,
  ...copy,
  ...date,
  ...debug,
  ...deliveryParameters,
  ...duplicate,
  ...editheader,
  ...encodedCharacter,
  ...enotify,
  ...environment,
  ...envelope,
  ...expressions,
  ...extlists,
  ...fcc,
  ...fileinto,
  ...ihave,
  ...imap4flags,
  ...include,
  ...mailbox,
  ...mime,
  ...regex,
  ...reject,
  ...relational,
  ...replace,
  ...spamtest,
  ...mailboxChoice,
  ...subaddress,
  ...vacation,
  ...variables,
];
