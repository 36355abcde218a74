/** Checks of who sends, as sessions carry them out. */

import { type CheckContext, evaluateDmarc, verifySignatures } from "../authentication/mod.ts";
import type { SessionConfig } from "../config/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import type { Checks } from "../inbound/mod.ts";

/** What sessions check with; nothing if every check is switched off for good, so that it costs nothing. */
export function createChecks(
  { checks }: SessionConfig,
  context: CheckContext,
  functions: FunctionHost,
): Checks | undefined {
  const scope = { variables: {}, functions };
  const settings = [checks.iprev, checks.spfEhlo, checks.spfMailFrom, checks.dkim, checks.arc, checks.dmarc];
  const isOff = settings.every((setting) => setting.isConstant && setting.evaluate(scope) === "disable");
  return isOff ? undefined : { context, verifySignatures, evaluateDmarc };
}
