/** `specialuse_exists`, `:specialuse` (RFC 8579); `mailboxidexists`, `:mailboxid` (RFC 9042). */

import type { Call, Compiler, Extension, TagUse } from "../definition.ts";
import { untilFalse } from "../later.ts";
import { SieveRuntimeError } from "../problem.ts";

/** RFC 6154: a backslash and an atom. */
function isAttribute(text: string): boolean {
  return /^\\[A-Za-z0-9!#$&'+\-./:;<=>?@^_`|}~]+$/.test(text);
}

/** What is wrong with a special-use attribute; undefined if nothing is. */
export function attributeProblem(text: string): string | undefined {
  return isAttribute(text) ? undefined : `'${text.slice(0, 80)}' is not a special-use attribute, such as "\\\\Sent"`;
}

/** RFC 9042 §4.2 and §5: one mailbox cannot be chosen in two ways. */
export function checkOneChoice({ at }: Pick<TagUse, "at">, call: Call, compiler: Compiler): void {
  if (call.has("specialuse")) compiler.error(at, `':mailboxid' of ${call.title} cannot go with ':specialuse'`);
}

const specialUse: Extension = {
  capability: "special-use",
  tests: [{
    name: "specialuse_exists",
    parameters: [{ name: "mailbox", type: "string", optional: true }, {
      name: "special-use attributes",
      type: "strings",
    }],
    compile(call, compiler) {
      call.texts("special-use attributes").literal?.forEach((attribute, index) => {
        const problem = attributeProblem(attribute);
        if (problem !== undefined) compiler.error(call.position("special-use attributes", index), problem);
      });
      const mailbox = call.given("mailbox") ? call.text("mailbox") : undefined;
      const attributes = call.texts("special-use attributes");
      return (run) => {
        const name = mailbox?.read(run);
        return untilFalse(
          attributes.read(run),
          (attribute) => run.host.specialUseExists?.(name, attribute) ?? false,
        );
      };
    },
  }],
  tags: [{
    to: ["fileinto"],
    tag: {
      name: "specialuse",
      value: { name: "special-use attribute", type: "string" },
      check({ text: { literal }, valueAt }, _call, compiler) {
        const problem = literal === undefined ? undefined : attributeProblem(literal);
        if (problem !== undefined) compiler.error(valueAt, problem);
      },
      onAction: ({ text }, call) => (run, action) => {
        const attribute = text.read(run);
        const problem = attributeProblem(attribute);
        if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
        if (action.kind === "store") action.specialUse = attribute;
      },
    },
  }],
};

const mailboxId: Extension = {
  capability: "mailboxid",
  tests: [{
    name: "mailboxidexists",
    parameters: [{ name: "mailbox ids", type: "strings" }],
    compile(call) {
      const ids = call.texts("mailbox ids");
      return (run) => untilFalse(ids.read(run), (id) => run.host.mailboxIdExists?.(id) ?? false);
    },
  }],
  tags: [{
    to: ["fileinto"],
    tag: {
      name: "mailboxid",
      value: { name: "mailbox id", type: "string" },
      check: checkOneChoice,
      onAction: ({ text }) => (run, action) => {
        if (action.kind === "store") action.mailboxId = text.read(run);
      },
    },
  }],
};

export const mailboxChoice: readonly Extension[] = [specialUse, mailboxId];
