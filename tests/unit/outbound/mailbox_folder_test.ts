import assert from "node:assert/strict";
import { flagLetters, folderOf } from "../../../src/outbound/mailbox_folder.ts";

Deno.test("mailboxes are folders of Maildir++, whichever separator the script writes", () => {
  for (
    const [mailbox, folder] of [
      ["INBOX", ""],
      ["inbox", ""],
      ["Lists", ".Lists"],
      ["Lists/Deno", ".Lists.Deno"],
      ["Lists.Deno", ".Lists.Deno"],
      ["INBOX/Lists", ".Lists"],
      ["INBOX.Lists.x", ".Lists.x"],
      ["Two words", ".Two words"],
      // RFC 3501 §5.1.3, with its own example last.
      ["a&b", ".a&-b"],
      ["Entwürfe", ".Entw&APw-rfe"],
      ["~peter/mail/台北/日本語", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"],
    ] as const
  ) {
    assert.equal(folderOf(mailbox), folder, mailbox);
  }
});

Deno.test("a name that would leave the Maildir, or that no file can have, is none", () => {
  for (const mailbox of ["", ".", "..", "../x", "a//b", "/etc", "a/", "a\0b", "x\n", "y".repeat(251)]) {
    assert.equal(folderOf(mailbox), undefined, JSON.stringify(mailbox));
  }
});

Deno.test("flags are letters in the order of the format; keywords have none", () => {
  assert.equal(flagLetters(["\\Seen", "\\flagged", "\\Deleted", "\\ANSWERED", "\\Draft", "$Forwarded"]), "DFPRST");
  assert.equal(flagLetters(["\\Seen", "\\seen", "work", "$label1"]), "S");
  assert.equal(flagLetters([]), "");
});
