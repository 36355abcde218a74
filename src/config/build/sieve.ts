/** Builds `sieve.trusted.*`, `sieve.user.*` and `session.*.script`. */

import { isAbsolute } from "node:path";
import type { CompileEnvironment } from "../../expression/mod.ts";
import type { SieveConfig } from "../sieve.ts";
import type { BuildContext } from "./context.ts";

/** Builds what scripts are run with. Settings that name scripts and signatures must know their ids. */
export function buildSieve(context: BuildContext, environment: CompileEnvironment): SieveConfig {
  const { get } = context.reader;
  return {
    scripts: context.compileScripts(context, environment),
    stages: {
      connect: get("session.connect.script"),
      ehlo: get("session.ehlo.script"),
      mail: get("session.mail.script"),
      rcpt: get("session.rcpt.script"),
      data: get("session.data.script"),
    },
    fromName: get("sieve.trusted.from-name"),
    fromAddress: get("sieve.trusted.from-addr"),
    returnPath: get("sieve.trusted.return-path"),
    sign: get("sieve.trusted.sign"),
    hostname: get("sieve.trusted.hostname"),
    receivedHeaders: get("sieve.trusted.limits.received-headers"),
    exec: { allow: readAllowed(context), timeout: get("sieve.trusted.exec.timeout") },
    user: {
      limits: {
        instructions: get("sieve.user.limits.cpu"),
        redirects: get("sieve.user.limits.redirects"),
        outMessages: get("sieve.user.limits.out-messages"),
        variableSize: get("sieve.user.limits.variable-size"),
      },
      scriptSize: get("sieve.user.limits.script-size"),
    },
  };
}

function readAllowed({ reader }: BuildContext): readonly string[] | undefined {
  const allowed = reader.get("sieve.trusted.exec.allow");
  if (allowed?.some((path) => !isAbsolute(path)) === true) {
    const found = reader.found("sieve.trusted.exec.allow");
    reader.error("sieve.trusted.exec.allow", [], `expected absolute paths of programs, found ${found}`);
  }
  return allowed;
}
