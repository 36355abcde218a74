/** Builds `session.mta-sts`: the policy that is served for local domains. */

import type { MtaStsConfig } from "../config.ts";
import type { BuildContext } from "./context.ts";

/** Longest and shortest useful life of a policy, in milliseconds (RFC 8461 §3.2; §10.2 wants weeks). */
const LONGEST = 31_557_600_000;
const SHORT = 86_400_000;

export function buildMtaSts({ reader }: BuildContext): MtaStsConfig {
  const key = "session.mta-sts.max-age";
  const maxAge = reader.get(key);
  const mode = reader.get("session.mta-sts.mode");
  const mx = reader.get("session.mta-sts.mx");
  if (maxAge > LONGEST) {
    reader.error(key, [], `expected at most 31557600 seconds, a year (RFC 8461 §3.2), found ${reader.found(key)}`);
  } else if (maxAge < SHORT && mode === "enforce") {
    reader.warning(key, [], "whoever can keep senders from the policy for that long can undo it; weeks are usual");
  }
  if (mx?.length === 0 && mode !== "none" && reader.found("session.mta-sts.mx") === "an empty list") {
    reader.error("session.mta-sts.mx", [], `a policy of mode ${mode} has to name at least one host; leave the key out`);
  }
  return { mode, maxAge, mx };
}
