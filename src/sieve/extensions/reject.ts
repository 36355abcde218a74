/** `reject` and `ereject` (RFC 5429). */

import type { CommandDefinition, Extension } from "../definition.ts";

function command(name: "reject" | "ereject"): CommandDefinition {
  return {
    name,
    parameters: [{ name: "reason", type: "string" }],
    compile(call, compiler) {
      const reason = call.text("reason");
      const protocol = name === "ereject";
      return compiler.action(
        call,
        (run) => ({ kind: "reject", text: reason.read(run), protocol, message: run.message }),
      );
    },
  };
}

export const reject: readonly Extension[] = [
  { capability: "reject", commands: [command("reject")] },
  { capability: "ereject", commands: [command("ereject")] },
];
