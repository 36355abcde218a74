/** `debug_log` (`vnd.dovecot.debug`): a line in the log, for whoever writes the script. */

import type { Extension } from "../definition.ts";
import { NEXT } from "../run.ts";

/** A script may be made to log what a stranger sends. */
const LONGEST_LINE = 1024;

export const debug: readonly Extension[] = [{
  capability: "vnd.dovecot.debug",
  commands: [{
    name: "debug_log",
    parameters: [{ name: "text", type: "string" }],
    compile(call) {
      const text = call.text("text");
      return (run) => {
        run.host.log?.(text.read(run).slice(0, LONGEST_LINE));
        return NEXT;
      };
    },
  }],
}];
