/** `:fcc`: a copy of what a script sends (RFC 8580), for `vacation` and `notify`. */

import type { FileCopy } from "../actions.ts";
import type { Extension, TagAttachment, TagDefinition } from "../definition.ts";
import { SieveRuntimeError } from "../problem.ts";
import { mailboxProblem } from "./fileinto.ts";

const SENDING = ["vacation", "notify"];

const FCC: TagDefinition = {
  name: "fcc",
  value: { name: "mailbox", type: "string" },
  check({ text: { literal }, valueAt }, _call, compiler) {
    const problem = literal === undefined ? undefined : mailboxProblem(literal);
    if (problem !== undefined) compiler.error(valueAt, problem);
  },
  onAction({ text }, call) {
    const flags = call.tag("flags")?.texts;
    const specialUse = call.tag("specialuse")?.text;
    const mailboxId = call.tag("mailboxid")?.text;
    const create = call.has("create");
    return (run, action) => {
      if (action.kind !== "vacation" && action.kind !== "notify") return;
      const mailbox = text.read(run);
      const problem = mailboxProblem(mailbox);
      if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
      action.fcc = {
        mailbox,
        ...(flags === undefined ? {} : { flags: flags.read(run).flatMap((each) => each.split(" ").filter(Boolean)) }),
        ...(create ? { create } : {}),
        ...(specialUse === undefined ? {} : { specialUse: specialUse.read(run) }),
        ...(mailboxId === undefined ? {} : { mailboxId: mailboxId.read(run) }),
      } satisfies FileCopy;
    };
  },
};

/** RFC 8580 §3: tags of `fileinto` that say more of the copy; their own extensions have to be required. */
function withFcc(name: string, capability: string, value?: TagDefinition["value"]): TagAttachment {
  return {
    to: SENDING,
    tag: {
      name,
      ...(value === undefined ? {} : { value }),
      check({ at }, call, compiler) {
        if (!call.has("fcc")) compiler.error(at, `':${name}' of ${call.title} needs ':fcc'`);
        else if (!compiler.enabled(capability)) compiler.error(at, `':${name}' needs: require "${capability}";`);
      },
    },
  };
}

export const fcc: readonly Extension[] = [{
  capability: "fcc",
  tags: [
    { to: SENDING, tag: FCC },
    withFcc("flags", "imap4flags", { name: "list of flags", type: "strings" }),
    withFcc("create", "mailbox"),
    withFcc("specialuse", "special-use", { name: "special-use attribute", type: "string" }),
    withFcc("mailboxid", "mailboxid", { name: "mailbox id", type: "string" }),
  ],
}];
