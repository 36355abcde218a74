/** `:list`, `valid_ext_list`, `redirect :list` (RFC 6134). */

import type { Extension, Matcher } from "../definition.ts";
import { parseMailbox } from "../mailbox_address.ts";
import { later, untilFalse, untilTrue } from "../later.ts";
import { type Flow, NEXT, slot, spend } from "../run.ts";

/** RFC 6134 §2.4: `:addrbook:` is short for a URN. */
function fullName(list: string): string {
  return /^:addrbook:/i.test(list) ? `urn:ietf:params:sieve${list}` : list;
}

/** The member of a list that `redirect` is at. */
const member: { readonly initial: () => { address: string } } = { initial: () => ({ address: "" }) };

export const extlists: readonly Extension[] = [{
  capability: "extlists",
  matchTypes: [{
    tag: "list",
    compile({ keys, call, keyAt }, compiler): Matcher {
      // RFC 6134 §2.2: how values are compared is the list's own business.
      const comparator = call.tag("comparator");
      if (comparator !== undefined) compiler.error(comparator.at, "':list' cannot be used with ':comparator'");
      keys.literal?.forEach((name, index) => {
        if (name === "") compiler.error(keyAt(index), `the name of a list in ${call.title} is empty`);
      });
      return (run, values) => {
        const lists = keys.read(run);
        return untilTrue(values, (value) =>
          untilTrue(lists, (list) => {
            spend(run, 1, call.at);
            return later(run.host.inList?.(fullName(list), value) ?? false, (found) => {
              // RFC 6134 §2.2: what matched is the match value.
              if (found) run.matchValues = [value];
              return found;
            });
          }));
      };
    },
  }],
  tests: [{
    name: "valid_ext_list",
    parameters: [{ name: "list names", type: "strings" }],
    compile(call) {
      const names = call.texts("list names");
      return (run) => untilFalse(names.read(run), (name) => run.host.listExists?.(fullName(name)) ?? false);
    },
  }],
  tags: [{
    to: ["redirect"],
    tag: {
      name: "list",
      command(_use, call, compiler) {
        const list = call.text("address");
        const redirect = compiler.action(
          call,
          (run) => ({ kind: "redirect", address: slot(run, member).address, message: run.message }),
        );
        return (run) =>
          later(run.host.listMembers?.(fullName(list.read(run))) ?? [], (members) => {
            const addresses = members.flatMap((each) => parseMailbox(each)?.address ?? []);
            const from = (start: number): Flow | Promise<Flow> => {
              for (const [index, address] of addresses.entries()) {
                if (index < start) continue;
                slot(run, member).address = address;
                const done = redirect(run);
                if (done instanceof Promise) return done.then(() => from(index + 1));
              }
              return NEXT;
            };
            return from(0);
          });
      },
    },
  }],
}];
