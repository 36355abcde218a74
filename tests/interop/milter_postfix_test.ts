/** What becomes of messages through a milter: the same as through Postfix, octet for octet. */

import assert from "node:assert/strict";
import {
  milterSettings,
  OBEDIENT,
  type Operation,
  operations,
  relayed,
  send,
  withGodwitRelay,
  withPostfixRelay,
  withPythonMilter,
} from "./milters.ts";

const HEADERS = {
  plain: "From: Ana <ana@example.net>\r\nTo: dave@elsewhere.example\r\nSubject: hello\r\n",
  repeated: "X-A: 1\r\nFrom: ana@example.net\r\nX-A: 2\r\nSubject: one\r\nX-A: 3\r\nsubject: two\r\n",
  folded:
    "From: ana@example.net\r\nSubject: one\r\n two\r\n\tthree\r\nTo:  spaced\r\nX-Tab:\ttab\r\nX-None:none\r\nX-Empty:\r\n",
  latin1: "From: ana@example.net\r\nSubject: gr\xfc\xdfe\r\nX-A: \xe9\r\n",
  received:
    "Received: from elsewhere by other; Mon, 5 Jan 2026 12:00:00 +0000\r\nFrom: ana@example.net\r\nSubject: x\r\nX-A: 1\r\n",
};

const BODIES = {
  plain: "one line\r\n",
  dots: ".\r\n..two\r\n.three\r\n\r\n\r\n",
  empty: "",
  latin1: "gr\xfc\xdfe \x80\xff\r\n",
  long: `${"0123456789abcdef".repeat(50)}\r\n`.repeat(200),
};

const OPERATIONS: Readonly<Record<string, readonly Operation[]>> = {
  nothing: [],
  "add": [["addheader", "X-New", "value"]],
  "add two": [["addheader", "X-New", "1"], ["addheader", "X-New", "2"]],
  "add folded": [["addheader", "X-New", "one\n\ttwo\n three"]],
  "add unfolded lines": [["addheader", "X-New", "one\ntwo"]],
  "add 8 bits": [["addheader", "X-New", "gr\u00fc\u00dfe"]],
  "insert at 0": [["addheader", "X-New", "v", 0]],
  "insert at 1": [["addheader", "X-New", "v", 1]],
  "insert at 2": [["addheader", "X-New", "v", 2]],
  "insert at 4": [["addheader", "X-New", "v", 4]],
  "insert at 99": [["addheader", "X-New", "v", 99]],
  "insert several": [
    ["addheader", "X-N1", "v", 1],
    ["addheader", "X-N2", "v", 1],
    ["addheader", "X-N3", "v", 3],
    ["addheader", "X-N4", "v", 2],
  ],
  "insert above and below our own": [
    ["addheader", "X-N1", "v", 0],
    ["addheader", "X-N2", "v", 1],
    ["addheader", "X-N3", "v", 2],
    ["addheader", "X-N4", "v", 0],
    ["addheader", "X-N5", "v", 4],
  ],
  "change the first": [["chgheader", "X-A", 1, "changed"], ["chgheader", "Subject", 0, "changed too"]],
  "change the second": [["chgheader", "x-a", 2, "changed"]],
  "change what is not there": [["chgheader", "X-Not", 1, "new"], ["chgheader", "X-A", 7, "seventh"]],
  "delete the first": [["chgheader", "X-A", 1, ""]],
  "delete the second twice": [["chgheader", "X-A", 2, ""], ["chgheader", "X-A", 2, ""]],
  "delete what is not there": [["chgheader", "X-Not", 1, ""]],
  "delete all from the end": [["chgheader", "X-A", 3, ""], ["chgheader", "X-A", 2, ""], ["chgheader", "X-A", 1, ""]],
  "change what was added": [["addheader", "X-A", "added"], ["chgheader", "X-A", 1, "c"], ["chgheader", "X-A", 4, "d"]],
  "change what was inserted": [["addheader", "X-A", "inserted", 1], ["chgheader", "X-A", 1, "changed"]],
  "delete what was inserted above": [
    ["addheader", "X-A", "top", 0],
    ["chgheader", "X-A", 1, ""],
    ["addheader", "X-N", "v", 1],
  ],
  "change to folded": [["chgheader", "Subject", 1, "one\n two"]],
  "replace the body": [["replacebody", "new\r\nbody\r\n"]],
  "replace the body in pieces": [["replacebody", "new\r"], ["replacebody", "\nbo"], ["replacebody", "dy\r\n.\r\n"]],
  "replace the body, 8 bits": [["replacebody", "gr\u00fc\u00df\u00e9\r\n"]],
  "replace the body, last line open": [["replacebody", "one\r\ntwo"]],
  "replace body and fields": [
    ["addheader", "X-New", "v", 1],
    ["chgheader", "Subject", 1, "s"],
    ["replacebody", "new\r\n"],
  ],
  "add a recipient": [["addrcpt", "<carl@elsewhere.example>"]],
  "change recipients": [["addrcpt", "<carl@elsewhere.example>"], ["delrcpt", "<dave@elsewhere.example>"]],
  "add a recipient with parameters": [["addrcpt", "<carl@elsewhere.example>", "NOTIFY=NEVER"]],
  "change the sender with parameters": [["chgfrom", "<new@example.net>", "RET=HDRS ENVID=abc"]],
  "ask for more time in between": [["progress"], ["addheader", "X-New", "v"], ["progress"]],
  "change the sender": [["chgfrom", "<new@example.net>"]],
  "empty the sender": [["chgfrom", "<>"]],
};

/** Stands for the Received field of either server, whose text is its own. */
const OUR_FIELD = "Received: by this server\r\n";

interface Case {
  readonly name: string;
  readonly content: string;
}

function cases(): readonly Case[] {
  const found: Case[] = [];
  const add = (name: string, header: string, list: readonly Operation[], body: string) => {
    const number = found.length + 1;
    found.push({ name, content: `${header}X-Number: ${number}\r\n${operations(...list)}\r\n${body}` });
  };
  for (const [name, list] of Object.entries(OPERATIONS)) {
    for (const header of ["repeated", "received"] as const) {
      add(`${name} (${header})`, HEADERS[header], list, BODIES.plain);
    }
  }
  for (const header of Object.keys(HEADERS) as (keyof typeof HEADERS)[]) {
    for (const body of Object.keys(BODIES) as (keyof typeof BODIES)[]) {
      add(`fields: ${header}, body: ${body}`, HEADERS[header], [["addheader", "X-New", "v", 1], [
        "addheader",
        "X-Last",
        "v",
      ]], BODIES[body]);
    }
  }
  return found;
}

for (
  const [offer, more] of [
    ["as it is usually offered", ""],
    ["with everything offered", "options.flags.actions = 0x1ff\noptions.flags.protocol = 0x1fffff\n"],
  ]
) {
  Deno.test(`messages are as Postfix makes them with the same milter, ${offer}`, async (test) => {
    const log = await Deno.makeTempFile();
    await withPythonMilter(OBEDIENT, log, async (milter) => {
      await withPostfixRelay([milter], async (theirs) => {
        await withGodwitRelay(milterSettings([milter], more), async (ours) => {
          const all = cases();
          const compared = new Set<string>();
          for (const [index, { name, content }] of all.entries()) {
            await test.step(name, async () => {
              assert.match(await send(theirs, content), /^250/);
              assert.match(await send(ours, content), /^250/);
              const message = await relayed(ours, index + 1, OUR_FIELD);
              assert.deepEqual(message, await relayed(theirs, index + 1, OUR_FIELD));
              if (name.startsWith("add (")) assert.match(message.content, /^X-New: value\r$/m);
              if (name.startsWith("insert at 0")) assert.ok(message.content.startsWith(`X-New: v\r\n${OUR_FIELD}`));
              compared.add(message.content);
            });
          }
          assert.equal(compared.size, all.length, "as many different messages as were sent");
          assert.ok(compared.size >= 80);
        });
      });
    });
    await Deno.remove(log);
  });
}

Deno.test("two milters in a row change a message as they do in Postfix", async (test) => {
  const log = await Deno.makeTempFile();
  await withPythonMilter(OBEDIENT, log, async (first) => {
    await withPythonMilter(OBEDIENT, log, async (second) => {
      await withPostfixRelay([first, second], async (theirs) => {
        await withGodwitRelay(milterSettings([first, second]), async (ours) => {
          for (const [index, [name, list]] of Object.entries(OPERATIONS).entries()) {
            await test.step(name, async () => {
              const content = `${HEADERS.repeated}X-Number: ${index + 1}\r\n${operations(...list)}\r\nbody\r\n`;
              assert.match(await send(theirs, content), /^250/);
              assert.match(await send(ours, content), /^250/);
              assert.deepEqual(await relayed(ours, index + 1, OUR_FIELD), await relayed(theirs, index + 1, OUR_FIELD));
            });
          }
        });
      });
    });
  });
  await Deno.remove(log);
});
