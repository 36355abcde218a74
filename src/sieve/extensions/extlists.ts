/** `:list`, `valid_ext_list`, `redirect :list` (RFC 6134). */

import type { Call, Extension, Matcher } from "../definition.ts";
import { parseMailbox } from "../mailbox_address.ts";
import { later, untilFalse, untilTrue } from "../later.ts";
import { SieveRuntimeError } from "../problem.ts";
import { type Flow, NEXT, slot, spend } from "../run.ts";

const PARAMETERS = "urn:ietf:params:sieve:";
const ADDRESS_BOOK = /^urn:ietf:params:sieve:addrbook:([^?]*)(\?[^]*)?$/i;

/** The list that every server has to know (RFC 6134 §2.5), as hosts are asked for it. */
export const DEFAULT_ADDRESS_BOOK = `${PARAMETERS}addrbook:default`;

/** The name that hosts are asked for: a colon at its beginning is short for a URN (RFC 6134 §2.5). */
export function listName(list: string): string {
  const full = list.startsWith(":") ? PARAMETERS + list.slice(1) : list;
  const [whole, book = "", query = ""] = ADDRESS_BOOK.exec(full) ?? [];
  if (whole === undefined) return full;
  const name = decoded(book);
  // One name has no case, others keep theirs.
  return `${PARAMETERS}addrbook:${name.toLowerCase() === "default" ? "default" : name}${query}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The addresses in a list. @throws {SieveRuntimeError} if they cannot be told (RFC 6134 §2.3) */
function addressesIn(list: string, members: readonly string[] | undefined, call: Call): readonly string[] {
  const shown = list.slice(0, 80);
  if (members === undefined) throw new SieveRuntimeError(`the members of the list '${shown}' cannot be told`, call.at);
  return members.map((member) => {
    const mailbox = parseMailbox(member);
    if (mailbox !== undefined) return mailbox.address;
    throw new SieveRuntimeError(`'${member.slice(0, 80)}' in the list '${shown}' is not an address`, call.at);
  });
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
            return later(run.host.inList?.(listName(list), value) ?? false, (found) => {
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
      return (run) => untilFalse(names.read(run), (name) => run.host.listExists?.(listName(name)) ?? false);
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
          later(run.host.listMembers?.(listName(list.read(run))), (members) => {
            const addresses = addressesIn(list.read(run), members, call);
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
