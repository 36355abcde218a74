/** Addresses that lead to others: parameters, notifications, and what is kept of the address that was given. */

import assert from "node:assert/strict";
import type { Directory } from "../../../src/directory/mod.ts";
import { createDsnBuilder } from "../../../src/report/mod.ts";
import { dialogue, greeted, sendMessage, type SessionWorld, sessionWorld, staff } from "../../support/session.ts";

const SETTINGS = `session.extensions.dsn = true
session.rcpt.errors.wait = "0s"
session.auth = { mechanisms = "['plain']", allow-plain-text = true }`;

/** `@example.org` is Bob's, `info@` an alias of Ana's, beside the list `staff@`. */
const directory: Directory = {
  ...staff,
  recipients: (address) =>
    address === "@example.org" ? ["bob"] : address === "info@example.org" ? ["ana"] : staff.recipients(address),
};

function worldOf(settings = ""): SessionWorld {
  const world = sessionWorld({ settings: `${SETTINGS}\n${settings}`, directory });
  const buildNotice = createDsnBuilder({
    hostname: "mx.example.org",
    reportDomain: "example.org",
    from: () => ({ name: "Postmaster", address: "postmaster@example.org" }),
    clock: world.clock,
    emit: () => {},
    random: () => 0.5,
  });
  return { ...world, deps: { ...world.deps, buildNotice } };
}

async function send(world: SessionWorld, rcpt: string, mail = "MAIL FROM:<smith@example.net> RET=HDRS ENVID=QQ1") {
  const client = await greeted(world);
  await dialogue(client, [mail, "250 "], [`RCPT TO:${rcpt}`, "250 "], ["DATA", "354 "]);
  client.send("Subject: x\r\n\r\nbody\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  return world.queue.messages;
}

// RFC 3461 §5.2.7.3 (c)
for (
  const [asked, passedOn] of [
    ["SUCCESS", { never: true, success: false, failure: false, delay: false }],
    ["SUCCESS,FAILURE", { never: false, success: false, failure: true, delay: false }],
    ["DELAY,SUCCESS", { never: false, success: false, failure: false, delay: true }],
  ] as const
) {
  Deno.test(`NOTIFY=${asked} for a list: it is reported as expanded, and its members get the rest`, async () => {
    const world = worldOf();
    const orcpt = "ORCPT=rfc822;Staff@example.org";
    const [message, notice, another] = await send(world, `<staff@example.org> NOTIFY=${asked} ${orcpt}`);
    assert.deepEqual(
      message?.recipients,
      ["ana", "bob"].map((name) => ({
        address: `${name}@example.org`,
        parameters: { notify: passedOn, orcpt: { type: "rfc822", address: "Staff@example.org" } },
      })),
    );
    assert.deepEqual(message.envelope.parameters, { ret: "hdrs", envid: "QQ1" });
    assert.equal(another, undefined);
    assert.equal(notice?.envelope.sender, "");
    assert.deepEqual(notice.recipients.map(({ address }) => address), ["smith@example.net"]);
    const text = world.queue.text(1);
    for (
      const field of [
        "Original-Envelope-Id: QQ1",
        "Original-Recipient: rfc822; Staff@example.org",
        "Final-Recipient: rfc822; staff@example.org",
        "Action: expanded",
        "Status: 2.0.0",
      ]
    ) assert.ok(text.includes(`\r\n${field}\r\n`), field);
  });
}

Deno.test("no word of an expansion to those who did not ask for one", async () => {
  for (const notify of ["", " NOTIFY=FAILURE", " NOTIFY=NEVER"]) {
    assert.equal((await send(worldOf(), `<staff@example.org>${notify}`)).length, 1, notify);
  }
  assert.equal((await send(worldOf(), "<staff@example.org> NOTIFY=SUCCESS", "MAIL FROM:<>")).length, 1);
});

Deno.test("an alias of one address passes the parameters on as they are (RFC 3461 §5.2.7.2)", async () => {
  const [message, another] = await send(worldOf(), "<info@example.org> NOTIFY=SUCCESS,FAILURE");
  assert.equal(another, undefined);
  assert.deepEqual(message?.recipients[0]?.parameters.notify, {
    never: false,
    success: true,
    failure: true,
    delay: false,
  });
});

Deno.test("mail taken by a catch-all or an alias keeps the address that it was sent to", async () => {
  for (
    const [given, target] of [
      ["anybody@example.org", "bob@example.org"],
      ["info@example.org", "ana@example.org"],
      ["ana+tag@example.org", "ana+tag@example.org"],
    ] as const
  ) {
    const world = worldOf();
    const [message] = await send(world, `<${given}>`);
    assert.equal(message?.recipients[0]?.address, target);
    assert.equal(message.recipients[0].parameters.original ?? target, given);
    assert.match(world.queue.text(0), new RegExp(`\\n\\tfor <${given.replace("+", "\\+")}>`));
  }
});

Deno.test("an account sends from its own sub-addresses where these are its own", async () => {
  const from = async (sender: string, settings = "") => {
    const client = await greeted(worldOf(settings), { login: true });
    return (await client.say(`MAIL FROM:<${sender}>`)).slice(0, 9);
  };
  assert.equal(await from("ana+news@example.org"), "250 2.1.0");
  assert.equal(await from("ANA+news@example.org"), "250 2.1.0");
  for (const foreign of ["bob+ana@example.org", "ana+x@elsewhere.example", "+ana@example.org", "bob@example.org"]) {
    assert.equal(await from(foreign), "553 5.7.1", foreign);
  }
  assert.equal(await from("ana+news@example.org", "session.rcpt.sub-addressing = false"), "553 5.7.1");
  // An expression decides as it does for recipients.
  const dashes =
    `session.rcpt.sub-addressing = [{ if = 'matches("^([^-]+)-[^@]*(@.*)$", rcpt)', then = "$1 + $2" }, { else = false }]`;
  assert.equal(await from("ana-news@example.org", dashes), "250 2.1.0");
  assert.equal(await from("bob-news@example.org", dashes), "553 5.7.1");
  assert.equal(await from("ana+news@example.org", dashes), "553 5.7.1");
  // What it leaves behind is nobody's recipient.
  const client = await greeted(worldOf(), { login: true });
  await dialogue(client, ["MAIL FROM:<ana+news@example.org>", "250 "]);
  assert.equal(client.session.variables.rcpt, "");
  await dialogue(client, ["RSET", "250 "]);
  assert.match(await sendMessage(client, { from: "ana@example.org" }), /^250 /);
});
