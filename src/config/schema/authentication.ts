/** Keys of `auth` and `signature`: SPF, DKIM, ARC and DMARC, and the signatures godwit makes. */

import { bool, choice, domain, dur, filled, listOf } from "../value_type.ts";
import { MX, when } from "./condition.ts";
import { asIdOrFalse, asIds, asWord } from "./setting_shape.ts";
import { key, optional, required, setting } from "./spec.ts";

const strictness = asWord("relaxed", "strict", "disable");
const onMx = when(MX, "'relaxed'", "'disable'");

const SIGNED_HEADERS = [
  "From",
  "To",
  "Cc",
  "Reply-To",
  "Date",
  "Subject",
  "Message-ID",
  "In-Reply-To",
  "References",
  "MIME-Version",
  "Content-Type",
  "List-Id",
];

export const authenticationKeys = {
  "auth.iprev.verify": setting("conn", strictness, onMx),
  "auth.spf.verify.ehlo": setting("ehlo", strictness, onMx),
  "auth.spf.verify.mail-from": setting("mail", strictness, onMx),
  "auth.dkim.verify": setting("data", strictness, "'relaxed'"),
  "auth.dkim.strict": key(bool, true),
  "auth.arc.verify": setting("data", strictness, "'relaxed'"),
  "auth.dmarc.verify": setting("data", strictness, onMx),
  "auth.dkim.sign": setting("data", asIds("signature"), false),
  "auth.arc.seal": setting("data", asIdOrFalse("seal"), false),
  "signature.<id>.private-key": required(filled),
  "signature.<id>.domain": required(domain),
  "signature.<id>.selector": required(filled),
  "signature.<id>.algorithm": required(
    choice("ed25519-sha256", "rsa-sha256", "rsa-sha1", "rsa-sha-256", "rsa-sha-1"),
  ),
  "signature.<id>.headers": key(listOf(filled), SIGNED_HEADERS),
  "signature.<id>.canonicalization": key(
    choice("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple", "relaxed", "simple"),
    "relaxed/relaxed",
  ),
  "signature.<id>.expire": optional(dur),
  "signature.<id>.third-party": optional(domain),
  "signature.<id>.third-party-algo": optional(choice("sha256", "sha1")),
  "signature.<id>.auid": optional(filled),
  "signature.<id>.set-body-length": key(bool, false),
  "signature.<id>.report": key(bool, false),
};
