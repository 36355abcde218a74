/** `:fcc`: a copy of what a script sends (RFC 8580), for `vacation` and `notify`. */

import type { FileCopy } from "../actions.ts";
import type { Call, Extension, TagAttachment, TagDefinition } from "../definition.ts";
import { SieveRuntimeError } from "../problem.ts";
import { mailboxProblem } from "./fileinto.ts";
import { attributeProblem, checkOneChoice } from "./special_use.ts";

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
        ...(specialUse === undefined ? {} : { specialUse: attribute(specialUse.read(run), call) }),
        ...(mailboxId === undefined ? {} : { mailboxId: mailboxId.read(run) }),
      } satisfies FileCopy;
    };
  },
};

function attribute(text: string, { at }: Call): string {
  const problem = attributeProblem(text);
  if (problem !== undefined) throw new SieveRuntimeError(problem, at);
  return text;
}

/** RFC 8580 §3: tags of `fileinto` that say more of the copy; their own extensions have to be required. */
function withFcc(
  name: string,
  capability: string,
  value?: TagDefinition["value"],
  more?: TagDefinition["check"],
): TagAttachment {
  return {
    to: SENDING,
    tag: {
      name,
      ...(value === undefined ? {} : { value }),
      check(use, call, compiler) {
        const { at } = use;
        if (!call.has("fcc")) compiler.error(at, `':${name}' of ${call.title} needs ':fcc'`);
        else if (!compiler.enabled(capability)) compiler.error(at, `':${name}' needs: require "${capability}";`);
        more?.(use, call, compiler);
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
    withFcc(
      "specialuse",
      "special-use",
      { name: "special-use attribute", type: "string" },
      ({ text: { literal }, valueAt }, _call, compiler) => {
        const problem = literal === undefined ? undefined : attributeProblem(literal);
        if (problem !== undefined) compiler.error(valueAt, problem);
      },
    ),
    withFcc("mailboxid", "mailboxid", { name: "mailbox id", type: "string" }, checkOneChoice),
  ],
}];
