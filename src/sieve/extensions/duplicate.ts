/** `duplicate` (RFC 7352). */

import type { Call, Compiler, Extension } from "../definition.ts";
import { fieldsNamed } from "../../message/mod.ts";
import type { Run } from "../run.ts";

/** RFC 7352 §3.3: seven days. */
const USUAL_SECONDS = 7 * 86_400;

/** The text that makes messages the same; undefined if this one has none, and is never a duplicate. */
function identity(call: Call): (run: Run) => string | undefined {
  const unique = call.tag("uniqueid")?.text;
  if (unique !== undefined) return (run) => unique.read(run);
  const header = call.tag("header")?.text;
  return (run) => {
    const [field] = fieldsNamed(run.message.header, header?.read(run) ?? "message-id");
    return field?.text().trim();
  };
}

/** Seconds to remember, within what the settings allow; without `:seconds` what they say. */
function period(call: Call, compiler: Compiler): number {
  const setting = (name: string, otherwise: number) => {
    const seconds = Number(compiler.setting(name) ?? NaN);
    return Number.isNaN(seconds) ? otherwise : seconds;
  };
  const asked = call.tag("seconds")?.number ?? setting("sieve_duplicate_default_period", USUAL_SECONDS);
  return Math.min(asked, setting("sieve_duplicate_max_period", Infinity));
}

export const duplicate: readonly Extension[] = ["duplicate", "vnd.dovecot.duplicate"].map((capability) => ({
  capability,
  tests: [{
    name: "duplicate",
    tags: [
      { name: "handle", value: { name: "handle", type: "string" } },
      { name: "header", group: "identity", value: { name: "header name", type: "string" } },
      { name: "uniqueid", group: "identity", value: { name: "unique id", type: "string" } },
      { name: "seconds", value: { name: "timeout", type: "number" } },
      { name: "last" },
    ],
    compile(call, compiler) {
      const read = identity(call);
      const seconds = period(call, compiler);
      const handle = call.tag("handle")?.text;
      const renew = call.has("last");
      return (run) => {
        const id = read(run);
        // RFC 7352 §3.3: what is kept for no time is never seen again.
        if (id === undefined || id === "" || seconds === 0) return false;
        // RFC 7352 §3.2: wherever an id comes from, it is the same one; only handles keep uses apart.
        const use = handle === undefined ? "" : `=${handle.read(run)}`;
        const key = ["duplicate", use, id].join("\0");
        return run.host.seen?.(key, seconds, renew) ?? false;
      };
    },
  }],
} satisfies Extension));
