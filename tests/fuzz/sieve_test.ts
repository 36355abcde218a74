/** Scripts and messages that nobody would write: nothing throws, and every run ends at its limits. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  capabilityNames,
  compileScript,
  messageBytes,
  parseScript,
  runScript,
  sieveMessage,
} from "../../src/sieve/mod.ts";
import type { ArgumentNode, CallNode, StringNode } from "../../src/sieve/ast.ts";
import { parseAddressList, parseDate, parseMime, parseParameterized } from "../../src/message/mod.ts";
import { runs } from "../support/fuzz_runs.ts";
import { printScript } from "../support/sieve_printer.ts";

const WORDS = [
  "if",
  "elsif",
  "else",
  "keep",
  "stop",
  "discard",
  "fileinto",
  "redirect",
  "set",
  "header",
  "address",
  "body",
  "not",
  "anyof",
  "allof",
  "true",
  "false",
  "(",
  ")",
  "{",
  "}",
  "[",
  "]",
  ";",
  ",",
  ":is",
  ":matches",
  ":contains",
  ":regex",
  ":mime",
  ":anychild",
  ":index",
  ":copy",
  ":flags",
  "1",
  "10K",
  '"a"',
  '"*"',
  '"subject"',
  '"${a}${1}"',
  '"x@y.org"',
  '["from", "to"]',
  "foreverypart",
  "break",
  "addheader",
  "deleteheader",
  "vacation",
  "notify",
  '"mailto:x@y.org"',
  "text:\nx\n.\n",
  "# c\n",
  "/*",
  "*/",
  '"',
  "\0",
  "é",
] as const;

const script = fc.array(fc.constantFrom(...WORDS), { maxLength: 60 }).map((words) => words.join(" "));

/** Scripts that compile more often than not. */
const command = fc.constantFrom(
  "keep;",
  "discard;",
  'set "a" "${a}${a}${1}x";',
  'fileinto "f${a}";',
  'redirect "x@y.org";',
  'if header :matches ["subject", "from"] "*${a}*?*" { set "a" "${1}"; }',
  'if address :regex "to" "(.*)${a}" { stop; }',
  'if body :text :contains "${a}" { addheader "X-A" "${a}"; }',
  'foreverypart { if header :mime :anychild :contains "content-type" "x" { break; } extracttext "a"; }',
  'deleteheader :matches "x-a" "*${1}*";',
  'addflag "\\\\Seen ${a}";',
  'if date :value "gt" "date" "year" "${1}" { vacation "away"; }',
  'notify :message "${a}" "mailto:x@y.org";',
  'replace "${a}";',
  'foreverypart { replace :mime "${a}"; extracttext :first 3 "a"; }',
  'foreverypart { if header :mime :contains "content-type" "x" { replace "x${a}"; } addheader :last "X-B" "${a}"; }',
  'enclose :subject "${a}" :headers ["Subject", "To"] "${a}";',
  'foreverypart { foreverypart { enclose "x"; break; } replace "y"; }',
  'if not convert "text/plain" "text/plain" "charset=iso-8859-1" { set "a" "${a}!"; }',
  'foreverypart { convert "text/html" "text/plain" ["charset=utf-8"]; }',
  'let "b" "len(a) + 1"; let "a" "substring(a, 1, 900) + header.subject + body.to_text";',
  'while "b < 5" { let "b" "b + 1"; if eval "b == 3" { continue; } set "a" "${a}${b}"; }',
  'let "c" "[a, b, c]"; set "a" "${c}";',
  'redirect :copy :notify "NEVER" :bytimerelative 60 "z@y.org";',
  'include "other";',
  'foreverypart { include "other"; if header :mime :contains "x-c" "1" { extracttext "a"; } }',
);
/** What `include` finds: it changes whatever it takes for the message. */
const OTHER = 'require ["foreverypart", "editheader", "replace", "convert", "mime", "fileinto", "enclose"]; ' +
  'addheader "X-C" "1"; fileinto "o"; foreverypart { convert "text/html" "text/plain" ""; } ' +
  'if not exists :mime "x-d" { replace :mime "X-D: 1\r\nContent-Type: text/x\r\n\r\nnew"; } enclose "e";';
const program = fc.array(command, { maxLength: 25 }).map((commands) => commands.join("\n"));

const message = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.array(
    fc.constantFrom(
      "From: a@b",
      "Subject: =?utf-8?b?w7w=?= x",
      "\tfold",
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      "--b--",
      "Content-Transfer-Encoding: base64",
      "QUJD",
      "Date: 1 Jan 2020 00:00 +0000",
      "To: <a@b>, c: d@e;",
      "x".repeat(200),
    ),
    { maxLength: 40 },
  ).map((lines) => new TextEncoder().encode(lines.join("\r\n"))),
);

const HOST = { now: () => 0 };
const LIMITS = { instructions: 2000, variableSize: 2000 };

Deno.test("any text is a script or has errors with places", () => {
  fc.assert(
    fc.property(fc.oneof(script, fc.string({ maxLength: 200 })), fc.boolean(), (source, noCapabilityCheck) => {
      const { script, problems } = compileScript(source, { noCapabilityCheck });
      const thorough = compileScript(source, { noCapabilityCheck, thorough: true });
      // Whoever looks further finds at least as much, and takes no other scripts.
      assert.equal(thorough.script === undefined, script === undefined);
      assert.ok(thorough.problems.length >= problems.length);
      assert.equal(script === undefined, problems.some(({ severity }) => severity === "error"));
      for (const { line, column } of problems) assert.ok(line >= 1 && column >= 1);
    }),
    { numRuns: runs(400) },
  );
});

Deno.test("any script ends, with an outcome, on any message", async () => {
  const require = `require ${JSON.stringify(capabilityNames())};\n`;
  await fc.assert(
    fc.asyncProperty(program, message, async (source, bytes) => {
      const { script, problems } = compileScript(require + source, { limits: LIMITS, loadScript: () => OTHER });
      assert.ok(script, JSON.stringify(problems));
      const outcome = await runScript(script, {
        message: sieveMessage(bytes),
        envelope: { from: "a@b.c", to: "d@e.f" },
        host: HOST,
      });
      assert.ok(outcome.instructions <= LIMITS.instructions);
      if (outcome.error !== undefined) assert.ok(outcome.implicitKeep !== undefined && outcome.actions.length === 0);
      assert.equal((await messageBytes(outcome.message)).length, outcome.message.size);
    }),
    { numRuns: runs(200) },
  );
});

Deno.test("readers of addresses, dates, parameters and parts take any bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), message, (text, bytes) => {
      parseAddressList(text);
      parseDate(text);
      parseParameterized(text);
      const { root } = parseMime(bytes, { parts: 20, depth: 5 });
      for (const part of root.children) assert.ok(part.start <= part.contentStart && part.contentStart <= part.end);
    }),
    { numRuns: runs(400) },
  );
});

const AT = { line: 1, column: 1 };
// A string ends its lines in CRLF, and has no NUL.
const text = fc.string({ unit: "binary", maxLength: 30 }).map((each) =>
  each.toWellFormed().replaceAll("\0", "").replace(/\r*\n/g, "\r\n")
);
const lines = fc.array(text, { maxLength: 4 }).map((each) => each.map((line) => `${line}\r\n`).join(""));
const stringNode: fc.Arbitrary<StringNode> = fc.record({ text, at: fc.constant(AT) });
const identifier = fc.stringMatching(/^[a-z_][a-z0-9_]{0,20}$/).filter((name) => name !== "text");
const argument: fc.Arbitrary<ArgumentNode> = fc.oneof(
  fc.record({ kind: fc.constant("string" as const), text: fc.oneof(text, lines), at: fc.constant(AT) }),
  fc.record({
    kind: fc.constant("strings" as const),
    items: fc.array(stringNode, { minLength: 1, maxLength: 4 }),
    at: fc.constant(AT),
  }),
  fc.record({ kind: fc.constant("number" as const), value: fc.maxSafeNat(), at: fc.constant(AT) }),
  fc.record({ kind: fc.constant("tag" as const), name: identifier, at: fc.constant(AT) }),
);
const { command: anyCommand } = fc.letrec<{ test: CallNode; command: CallNode }>((tie) => {
  const call = {
    name: identifier,
    at: fc.constant(AT),
    args: fc.array(argument, { maxLength: 4 }),
  };
  const noTests = { tests: fc.constant([]), testList: fc.constant(false) };
  const withTests = fc.boolean().chain((testList) =>
    fc.record({
      ...call,
      tests: fc.array(tie("test"), { minLength: 1, maxLength: testList ? 3 : 1 }),
      testList: fc.constant(testList),
      block: fc.constant(undefined),
    })
  );
  const plain = fc.record({ ...call, ...noTests, block: fc.constant(undefined) });
  return {
    test: fc.oneof({ depthSize: "small" }, plain, withTests),
    command: fc.oneof(
      { depthSize: "small" },
      plain,
      withTests,
      fc.record({ ...call, ...noTests, block: fc.array(tie("command"), { maxLength: 3 }) }),
    ),
  };
});

/** A script without its places. */
function shape(commands: readonly CallNode[] | undefined): unknown {
  return JSON.parse(JSON.stringify(commands, (key, value) => key === "at" ? undefined : value) ?? "null");
}

Deno.test("what is printed reads as what it was", () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 5 }), (commands) => {
      const printed = printScript(commands);
      const { commands: read, problems } = parseScript(printed);
      assert.deepEqual(problems, [], printed);
      assert.deepEqual(shape(read), shape(commands));
      assert.equal(printScript(read ?? []), printed);
    }),
    { numRuns: runs(300) },
  );
});

/** A tree of parts: the content of one, or the parts of a multipart with what stands before and behind them. */
type Tree = string | { readonly parts: readonly Tree[]; readonly before: string; readonly after: string };

// No line of it begins like a boundary, and none looks like the end of a header field.
const line = fc.stringMatching(/^[A-Za-z .,=]{0,30}$/);
const content = fc.array(line, { maxLength: 4 }).map((each) => each.join("\r\n"));
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    content,
    fc.record({ parts: fc.array(tie("tree"), { minLength: 1, maxLength: 4 }), before: content, after: content }),
  ),
}));

/** Writes a tree, numbering its parts from 0 in the order of the message; the part `chosen` is written otherwise. */
function write(whole: Tree, chosen: number, otherwise: string): { readonly text: string; readonly count: number } {
  let count = 0;
  const part = (tree: Tree): string => {
    const number = count++;
    const head = `X-Number: n${number};\r\n`;
    const text = typeof tree === "string"
      ? `${head}\r\n${tree}`
      : `${head}Content-Type: multipart/mixed; boundary="b${number}"\r\n\r\n${tree.before}${
        tree.parts.map((each) => `\r\n--b${number}\r\n${part(each)}`).join("")
      }\r\n--b${number}--\r\n${tree.after}`;
    return number === chosen ? otherwise : text;
  };
  return { text: part(whole), count };
}

Deno.test("replacing a part leaves every other octet of a message as it was", async () => {
  const entity = "Content-Type: text/x-new\r\n\r\nNew.";
  await fc.assert(
    fc.asyncProperty(tree, fc.nat(), async (whole, seed) => {
      const message = write(whole, -1, "");
      // The message itself keeps its header: another property.
      const chosen = message.count === 1 ? undefined : 1 + seed % (message.count - 1);
      const { script } = compileScript(`require ["foreverypart", "mime", "replace"];
        foreverypart { if header :mime :contains "x-number" "n${chosen};" { replace :mime text:
${entity.replaceAll("\r\n", "\n")}
.
; } }`);
      assert.ok(script);
      const outcome = await runScript(script, {
        message: sieveMessage(new TextEncoder().encode(message.text)),
        envelope: {},
        host: HOST,
      });
      assert.equal(outcome.error, undefined);
      const changed = new TextDecoder().decode(await messageBytes(outcome.message));
      assert.equal(changed, write(whole, chosen ?? -1, `${entity}\r\n`).text);
    }),
    { numRuns: runs(200) },
  );
});
