/** Mailboxes by what they are for (RFC 8579) and by their id (RFC 9042), also of copies (RFC 8580). */

import assert from "node:assert/strict";
import { errorsOf, holds, run } from "../script.ts";

const REQUIRE = 'require ["fileinto", "mailbox", "special-use", "mailboxid", "enotify", "vacation", "fcc", ' +
  '"imap4flags", "variables"];';

Deno.test("fileinto names the mailbox that is wanted first", async () => {
  const [action] = (await run(`${REQUIRE} fileinto :specialuse "\\\\Junk" :create "Spam";`)).actions;
  assert.ok(action?.kind === "store");
  assert.deepEqual([action.mailbox, action.specialUse, action.create], ["Spam", "\\Junk", true]);
  const [byId] = (await run(`${REQUIRE} fileinto :mailboxid "F6352ae03" "Spam";`)).actions;
  assert.ok(byId?.kind === "store");
  assert.deepEqual([byId.mailbox, byId.mailboxId], ["Spam", "F6352ae03"]);
});

Deno.test("a mailbox is chosen in one way only", () => {
  const both = ':mailboxid "F1" :specialuse "\\\\Junk"';
  assert.match(errorsOf(`${REQUIRE} fileinto ${both} "x";`)[0] ?? "", /cannot go with ':specialuse'/);
  for (const command of [`vacation :fcc "Sent" ${both} "x";`, `notify :fcc "Sent" ${both} "mailto:a@example.org";`]) {
    assert.match(errorsOf(`${REQUIRE} ${command}`)[0] ?? "", /cannot go with ':specialuse'/);
  }
});

Deno.test("attributes are checked, at once or when they are known", async () => {
  for (const wrong of ["Junk", "\\\\", "\\\\Ju nk"]) {
    for (
      const use of [
        `fileinto :specialuse "${wrong}" "x";`,
        `if specialuse_exists ["\\\\Sent", "${wrong}"] {}`,
        `vacation :fcc "Sent" :specialuse "${wrong}" "x";`,
      ]
    ) assert.match(errorsOf(`${REQUIRE} ${use}`)[0] ?? "", /is not a special-use attribute/, use);
  }
  const late = await run(`${REQUIRE} set "a" "Junk"; fileinto :specialuse "\${a}" "x";`);
  assert.match(late.error?.message ?? "", /'Junk' is not a special-use attribute/);
  const copy = await run(`${REQUIRE} set "a" "Junk"; vacation :fcc "Sent" :specialuse "\${a}" "x";`);
  assert.match(copy.error?.message ?? "", /'Junk' is not a special-use attribute/);
});

Deno.test("all attributes, and all ids, have to be there", async () => {
  const host = {
    specialUseExists: (mailbox: string | undefined, attribute: string) =>
      Promise.resolve((mailbox ?? "Archive") === "Archive" && attribute !== "\\Sent"),
    mailboxIdExists: (id: string) => id.startsWith("F"),
  };
  const options = { before: REQUIRE, host };
  assert.equal(await holds('specialuse_exists ["\\\\Archive", "\\\\All"]', options), true);
  assert.equal(await holds('specialuse_exists ["\\\\Archive", "\\\\Sent"]', options), false);
  assert.equal(await holds('specialuse_exists "Archive" "\\\\Archive"', options), true);
  assert.equal(await holds('specialuse_exists "INBOX" "\\\\Archive"', options), false);
  assert.equal(await holds('mailboxidexists ["F1", "F2"]', options), true);
  assert.equal(await holds('mailboxidexists ["F1", "2"]', options), false);
  assert.equal(await holds('specialuse_exists "\\\\Sent"', { before: REQUIRE }), false);
  assert.equal(await holds('mailboxidexists "F1"', { before: REQUIRE }), false);
});

Deno.test("a copy is filed with what fileinto could say of it", async () => {
  const tags = ':specialuse "\\\\Sent" :create :fcc "INBOX.Sent" :flags ["\\\\Seen A"]';
  const wanted = { mailbox: "INBOX.Sent", flags: ["\\Seen", "A"], create: true, specialUse: "\\Sent" };
  for (const command of [`vacation ${tags} "x";`, `notify ${tags} "mailto:a@example.org";`]) {
    const [action] = (await run(`${REQUIRE} ${command}`)).actions;
    assert.ok(action?.kind === "vacation" || action?.kind === "notify");
    assert.deepEqual(action.fcc, wanted);
  }
});

Deno.test("only what sends a message has a copy of it", () => {
  for (
    const command of ['reject :fcc "x" "y";', 'ereject :fcc "x" "y";', 'redirect :fcc "x" "a@b.org";', 'keep :fcc "x";']
  ) {
    const [error = ""] = errorsOf(`require ["fcc", "reject", "ereject"]; ${command}`);
    assert.match(error, /unknown tagged argument ':fcc'/, command);
  }
  assert.equal(errorsOf(`${REQUIRE} vacation :fcc "" "x";`).length, 1);
  assert.equal(errorsOf(`${REQUIRE} vacation :create "x";`).length, 1);
});
