/** `stop`, `keep`, `discard`, `redirect` (RFC 5228 §3.3, §4.2 to §4.4). */

import type { CommandDefinition } from "../definition.ts";
import { parseMailbox } from "../mailbox_address.ts";
import { SieveRuntimeError } from "../problem.ts";
import { STOP } from "../run.ts";

const redirect: CommandDefinition = {
  name: "redirect",
  parameters: [{ name: "address", type: "string" }],
  compile(call, compiler) {
    const text = call.text("address");
    const read = (address: string): string => {
      const mailbox = parseMailbox(address);
      if (mailbox === undefined) throw new SieveRuntimeError(`'${address.slice(0, 256)}' is not an address`, call.at);
      return mailbox.address;
    };
    // A tag that says where addresses come from (RFC 6134 §2.7) brings its own step.
    const { literal } = text;
    if (literal === undefined) {
      return compiler.action(
        call,
        (run) => ({ kind: "redirect", address: read(text.read(run)), message: run.message }),
      );
    }
    const mailbox = parseMailbox(literal);
    if (mailbox === undefined) {
      compiler.error(call.position("address"), `'${literal.slice(0, 256)}' is not an address that mail can be sent to`);
      return undefined;
    }
    return compiler.action(call, (run) => ({ kind: "redirect", address: mailbox.address, message: run.message }));
  },
};

export const ACTIONS: readonly CommandDefinition[] = [
  { name: "stop", compile: () => () => STOP },
  {
    name: "keep",
    compile: (call, compiler) => compiler.action(call, (run) => ({ kind: "keep", message: run.message })),
  },
  {
    name: "discard",
    compile: (call, compiler) => compiler.action(call, (run) => ({ kind: "discard", message: run.message })),
  },
  redirect,
];
