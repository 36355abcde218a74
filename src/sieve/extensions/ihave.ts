/** `ihave` and `error` (RFC 5463). */

import { ALWAYS, type Extension, NEVER } from "../definition.ts";
import { SieveRuntimeError } from "../problem.ts";

/** RFC 5463 §4: they change how the script itself is read, so a test cannot bring them. */
const TOO_LATE: ReadonlySet<string> = new Set(["variables", "encoded-character"]);

export const ihave: readonly Extension[] = [{
  capability: "ihave",
  tests: [{
    name: "ihave",
    parameters: [{ name: "capabilities", type: "strings", constant: true }],
    compile(call, compiler) {
      const wanted = call.texts("capabilities").literal ?? [];
      const missing = wanted.some((name) => !compiler.enabled(name) && (TOO_LATE.has(name) || !compiler.known(name)));
      if (missing) return NEVER;
      wanted.forEach((name, index) => compiler.require(name, call.position("capabilities", index)));
      return ALWAYS;
    },
  }],
  commands: [{
    name: "error",
    parameters: [{ name: "message", type: "string" }],
    compile(call) {
      const message = call.text("message");
      return (run) => {
        throw new SieveRuntimeError(message.read(run), call.at);
      };
    },
  }],
}];
