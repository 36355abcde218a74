/** `mailboxexists` and `:create` (RFC 5490 §3), `metadata` (§3.3 to §3.5) and `servermetadata` (§4). */

import type { Call, Compiler, Extension, TestDefinition, Texts } from "../definition.ts";
import { later, untilFalse } from "../later.ts";
import type { Run } from "../run.ts";
import { mailboxProblem } from "./fileinto.ts";

const mailboxexists: TestDefinition = {
  name: "mailboxexists",
  parameters: [{ name: "mailbox names", type: "strings" }],
  compile(call, compiler) {
    call.texts("mailbox names").literal?.forEach((name, index) => {
      const problem = mailboxProblem(name);
      if (problem !== undefined) compiler.warn(call.position("mailbox names", index), problem);
    });
    const names = call.texts("mailbox names");
    return (run) => untilFalse(names.read(run), (name) => run.host.mailboxExists?.(name) ?? false);
  },
};

/** RFC 5464 §3.2: what is wrong with the name of an entry. */
function entryProblem(name: string): string | undefined {
  const wrong = (why: string) => `'${name.slice(0, 80)}' is not the name of an annotation: ${why}`;
  if (!name.startsWith("/")) return wrong("it does not begin with '/'");
  if (name.endsWith("/")) return wrong("it ends with '/'");
  if (name.includes("//")) return wrong("it has '/' twice in a row");
  if (/[*%\p{Cc}]|[^\p{ASCII}]/u.test(name)) return wrong("it has characters that no name has");
  if (!/^\/(?:private|shared)(?:\/|$)/i.test(name)) {
    return wrong("it begins neither with '/private' nor with '/shared'");
  }
  return undefined;
}

function checkEntries(call: Call, parameter: string, compiler: Compiler): void {
  call.texts(parameter).literal?.forEach((name, index) => {
    const problem = entryProblem(name);
    if (problem !== undefined) compiler.warn(call.position(parameter, index), problem);
  });
}

type Mailbox = ((run: Run) => string) | undefined;

function metadataTest(name: string, ofMailbox: boolean): TestDefinition {
  return {
    name,
    parameters: [
      ...ofMailbox ? [{ name: "mailbox", type: "string" } as const] : [],
      { name: "annotation name", type: "string" },
      { name: "key list", type: "strings" },
    ],
    tagSets: ["Match"],
    compile(call, compiler) {
      checkEntries(call, "annotation name", compiler);
      const matcher = compiler.matcher(call, "key list");
      if (matcher === undefined) return undefined;
      const mailbox: Mailbox = ofMailbox ? call.text("mailbox").read : undefined;
      const entry = call.text("annotation name");
      return (run) =>
        later(
          run.host.metadata?.(mailbox?.(run), entry.read(run)),
          (value) => value === undefined ? false : matcher(run, [value]),
        );
    },
  };
}

function metadataExistsTest(name: string, ofMailbox: boolean): TestDefinition {
  return {
    name,
    parameters: [
      ...ofMailbox ? [{ name: "mailbox", type: "string" } as const] : [],
      { name: "annotation names", type: "strings" },
    ],
    compile(call, compiler) {
      checkEntries(call, "annotation names", compiler);
      const mailbox: Mailbox = ofMailbox ? call.text("mailbox").read : undefined;
      const entries: Texts = call.texts("annotation names");
      return (run) => {
        const name = mailbox?.(run);
        return untilFalse(
          entries.read(run),
          (entry) => later(run.host.metadata?.(name, entry), (value) => value !== undefined),
        );
      };
    },
  };
}

export const mailbox: readonly Extension[] = [
  {
    capability: "mailbox",
    tests: [mailboxexists],
    tags: [{
      to: ["fileinto"],
      tag: {
        name: "create",
        onAction: () => (_run, action) => {
          if (action.kind === "store") action.create = true;
        },
      },
    }],
  },
  { capability: "mboxmetadata", tests: [metadataTest("metadata", true), metadataExistsTest("metadataexists", true)] },
  {
    capability: "servermetadata",
    tests: [metadataTest("servermetadata", false), metadataExistsTest("servermetadataexists", false)],
  },
];
