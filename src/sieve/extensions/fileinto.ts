/** `fileinto` (RFC 5228 §4.1). */

import type { Extension } from "../definition.ts";
import { SieveRuntimeError } from "../problem.ts";

/** Longest name of a mailbox, in characters. */
const LONGEST_NAME = 1024;

/** What is wrong with the name of a mailbox; undefined if nothing is. */
export function mailboxProblem(name: string): string | undefined {
  if (name === "") return "the name of a mailbox cannot be empty";
  if (name.length > LONGEST_NAME) return `the name of a mailbox has more than ${LONGEST_NAME} characters`;
  if (/[\p{Cc}\ufffd]/u.test(name)) {
    return `invalid folder name ${JSON.stringify(name)}: it has characters that no name has`;
  }
  return undefined;
}

export const fileinto: readonly Extension[] = [{
  capability: "fileinto",
  commands: [{
    name: "fileinto",
    parameters: [{ name: "mailbox", type: "string" }],
    compile(call, compiler) {
      const mailbox = call.text("mailbox");
      const problem = mailbox.literal === undefined ? undefined : mailboxProblem(mailbox.literal);
      if (problem !== undefined) {
        compiler.error(call.position("mailbox"), problem);
        return undefined;
      }
      return compiler.action(call, (run) => {
        const name = mailbox.read(run);
        const found = mailboxProblem(name);
        if (found !== undefined) throw new SieveRuntimeError(found, call.at);
        return { kind: "store", mailbox: name, message: run.message };
      });
    },
  }],
}];
