/** Commands that are none, and recipients that the server refuses: a Python milter hears of them as it does from Postfix. */

import assert from "node:assert/strict";
import { type Dialogue, openDialogue } from "../../scripts/mail/dialogue.ts";
import { milterSettings, withGodwitRelay, withPostfixRelay, withPythonMilter } from "./milters.ts";

/** Notes unknown commands and recipients, and answers by what they say. */
function curious(decorators: { readonly data?: string } = {}): string {
  return `
import Milter, json, sys

log = open(sys.argv[2], "a", buffering=1)

def note(*what):
    log.write(json.dumps(what) + "\\n")

class Curious(Milter.Base):
    def unknown(self, command):
        note("unknown", command)
        if "LATER" in command:
            return Milter.TEMPFAIL
        if "NEVER" in command:
            self.setreply("502", "5.7.9", "None of that")
            return Milter.REJECT
        return Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        mailer, host, address = (self.getsymval("{rcpt_%s}" % name) for name in ("mailer", "host", "addr"))
        if mailer == "error":
            note("refused", recipient, host, bool(address) and address != recipient.strip("<>"))
            # Nobody asks for an opinion.
            return Milter.TEMPFAIL
        note("rcpt", recipient, address)
        return Milter.CONTINUE
    ${decorators.data ?? ""}
    def data(self):
        return Milter.CONTINUE
    def eom(self):
        note("end")
        return Milter.CONTINUE

Curious = Milter.rejected_recipients(Curious)
Milter.factory = Curious
Milter.set_flags(Milter.ADDHDRS)
Milter.runmilter("curious", sys.argv[1], 30)
`;
}

async function codes(dialogue: Dialogue, lines: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const line of lines) found.push(String((await dialogue.command(line)).code));
  return found;
}

const HEARD = ["500", "250", "250", "550", "250", "451", "550", "354", "250", "500", "221"];
const EVERYTHING = "options.flags.protocol = 0x1fffff\n";
const ENVELOPE = ["EHLO client.example", "MAIL FROM:<ana@elsewhere.example>"];

async function converse(port: number, local: string): Promise<readonly string[]> {
  const dialogue = await openDialogue(port);
  try {
    return await codes(dialogue, [
      "FROBNICATE",
      ...ENVELOPE,
      `RCPT TO:<nobody@${local}>`,
      `RCPT TO:<ana@${local}>`,
      "LATER",
      `RCPT TO:<nobody@${local}>`,
      "DATA",
      "Subject: x\r\n\r\nbody\r\n.",
      "XYZZY",
      "QUIT",
    ]);
  } finally {
    dialogue.close();
  }
}

Deno.test("unknown commands and refused recipients are told as Postfix tells them", async () => {
  const domain = "example.net";
  const log = await Deno.makeTempFile();
  const notes = async () => {
    const text = await Deno.readTextFile(log);
    await Deno.writeTextFile(log, "");
    return text.trim().split("\n").map((line) => JSON.parse(line) as unknown);
  };
  await withPythonMilter(curious(), log, async (milter) => {
    let theirs: unknown;
    await withPostfixRelay(
      [milter],
      async ({ port }) => {
        assert.deepEqual(await converse(port, domain), HEARD);
        theirs = await notes();
      },
      `smtpd_recipient_restrictions = check_recipient_access inline:{{nobody@${domain} = REJECT 5.1.1 nobody}}\n` +
        `access_map_reject_code = 550\n`,
    );
    await withGodwitRelay(milterSettings([milter], EVERYTHING), async ({ port }) => {
      assert.deepEqual(await converse(port, domain), HEARD);
      assert.deepEqual(await notes(), theirs);
      assert.deepEqual(theirs, [
        ["unknown", "FROBNICATE"],
        ["refused", `<nobody@${domain}>`, "5.1.1", true],
        ["rcpt", `<ana@${domain}>`, `ana@${domain}`],
        ["unknown", "LATER"],
        ["refused", `<nobody@${domain}>`, "5.1.1", true],
        ["end"],
        ["unknown", "XYZZY"],
      ]);
      // Sendmail tells all of the line and gives it any reply of the filter; Postfix one word, and only 4yz of it.
      const dialogue = await openDialogue(port);
      assert.equal((await dialogue.command("NEVER mind")).text, "502 5.7.9 None of that");
      assert.deepEqual(await notes(), [["unknown", "NEVER mind"]]);
      dialogue.close();
    }, false);
  });
  await Deno.remove(log);
});

Deno.test("an unknown command in a transaction does no harm to a filter that wants no DATA", async () => {
  const log = await Deno.makeTempFile();
  await withPythonMilter(curious({ data: "@Milter.nocallback" }), log, async (milter) => {
    await withGodwitRelay(milterSettings([milter], EVERYTHING), async ({ port }) => {
      const dialogue = await openDialogue(port);
      const lines = [...ENVELOPE, "RCPT TO:<ana@example.net>", "XYZZY", "DATA", "Subject: x\r\n\r\nbody\r\n."];
      assert.deepEqual(await codes(dialogue, lines), ["250", "250", "250", "500", "354", "250"]);
      dialogue.close();
      assert.match(await Deno.readTextFile(log), /"end"/);
    });
  });
  await Deno.remove(log);
});
