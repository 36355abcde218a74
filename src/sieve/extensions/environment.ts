/** `environment` (RFC 5183). */

import type { Extension } from "../definition.ts";

export const environment: readonly Extension[] = [{
  capability: "environment",
  tests: [{
    name: "environment",
    parameters: [{ name: "item", type: "string" }, { name: "key list", type: "strings" }],
    tagSets: ["Match"],
    compile(call, compiler) {
      const matcher = compiler.matcher(call, "key list");
      if (matcher === undefined) return undefined;
      const item = call.text("item");
      const counting = call.inGroup("match type")?.definition.name === "count";
      return (run) => {
        // RFC 5183 §4: what is not known never matches, not even when it is counted; what is empty counts as none.
        const value = run.host.environment?.(item.read(run).toLowerCase());
        return value === undefined ? false : matcher(run, counting && value === "" ? [] : [value]);
      };
    },
  }],
}];
