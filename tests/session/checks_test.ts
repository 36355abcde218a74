/** Checks of who sends in a whole server. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

const ZONE = {
  "127.0.0.1": { ptr: ["mail.example.net"] },
  "mail.example.net": { a: ["127.0.0.1"] },
  "example.net": { txt: ["v=spf1 ip4:127.0.0.1 -all"] },
  "_dmarc.example.net": { txt: ["v=DMARC1; p=reject"] },
  "bad.example": { txt: ["v=spf1 -all"] },
  "_dmarc.bad.example": { txt: ["v=DMARC1; p=reject"] },
};

const message = (from: string) => ({
  from,
  to: ["ana@example.org"],
  content: `From: ${from}\r\nSubject: x\r\n\r\nbody\r\n`,
});

Deno.test("with no setting at all the MX listener checks, tells, and refuses nobody", async () => {
  await using test = await startTestServer("", { checks: true, resolver: createZone(ZONE) });
  for (const from of ["smith@example.net", "smith@bad.example"]) {
    const [answer] = await submit(test.address("smtp"), message(from));
    assert.match(answer ?? "", /^250 /);
    await test.event("delivery.delivered");
  }
  const mails = await test.mail("example.org/ana");
  const results = mails.map((mail) =>
    /Authentication-Results: mx\.example\.org;((?:\r\n[ \t].*)+)/.exec(mail)?.[1] ?? ""
  );
  assert.deepEqual(results.map((text) => /dmarc=(\w+)/.exec(text)?.[1]).sort(), ["fail", "pass"]);
  assert.ok(results.every((text) => /iprev=pass \(mail\.example\.net\) policy\.iprev=127\.0\.0\.1/.test(text)));
});

Deno.test("what passes DMARC can be routed by its source", async () => {
  const settings = `
queue.strategy.route = [{ if = "source == 'dmarc_pass'", then = "'trusted'" }, { else = "'local'" }]
queue.route.trusted = { type = "local", path = "{folder}/mail/trusted/{local}/Maildir" }
`;
  await using test = await startTestServer(settings, { checks: true, resolver: createZone(ZONE) });
  for (const from of ["smith@example.net", "smith@bad.example"]) {
    await submit(test.address("smtp"), message(from));
    await test.event("delivery.delivered");
  }
  const [trusted] = await test.mail("trusted/ana");
  const [other] = await test.mail("example.org/ana");
  assert.match(trusted ?? "", /^From: smith@example\.net$/m);
  assert.match(other ?? "", /^From: smith@bad\.example$/m);
});

Deno.test("a strict policy refuses the message of a domain that asks for it, and no other", async () => {
  await using test = await startTestServer('auth.dmarc.verify = "strict"\n', {
    checks: true,
    resolver: createZone(ZONE),
  });
  const [refused] = await submit(test.address("smtp"), message("smith@bad.example"));
  assert.match(refused ?? "", /^550 5\.7\.1 .*bad\.example/);
  const [accepted] = await submit(test.address("smtp"), message("smith@example.net"));
  assert.match(accepted ?? "", /^250 /);
});

Deno.test("LMTP, where mail comes from our own servers, asks nobody", async () => {
  const zone = createZone(ZONE);
  await using test = await startTestServer("", { checks: true, resolver: zone });
  const [answer] = await submit(test.address("lmtp"), { ...message("smith@bad.example"), lmtp: true });
  assert.match(answer ?? "", /^250 /);
  await test.event("delivery.delivered");
  assert.deepEqual(zone.asked, []);
  const [mail] = await test.mail("example.org/ana");
  assert.doesNotMatch(mail ?? "", /Authentication-Results|Received-SPF/);
});

Deno.test("where expressions switch all checks off, that nothing was checked is told (RFC 8601 §2.2)", async () => {
  const zone = createZone(ZONE);
  const keys = ["iprev.verify", "spf.verify.ehlo", "spf.verify.mail-from", "dkim.verify", "arc.verify", "dmarc.verify"];
  const settings = keys.map((key) =>
    `auth.${key} = [{ if = "remote_ip == '192.0.2.1'", then = "'strict'" }, { else = "'disable'" }]\n`
  );
  await using test = await startTestServer(settings.join(""), { checks: true, resolver: zone });
  await submit(test.address("smtp"), message("smith@bad.example"));
  await test.event("delivery.delivered");
  const [mail] = await test.mail("example.org/ana");
  assert.match(mail ?? "", /^Authentication-Results: mx\.example\.org;\s+none\r?\n(?![ \t])/m);
  assert.doesNotMatch(mail ?? "", /Received-SPF/);
  assert.deepEqual(zone.asked, []);
});

Deno.test("a mode that there is not is told, and the default holds", async () => {
  await using test = await startTestServer(
    "auth.dmarc.verify = \"'str' + if_then(remote_port == 0, 'ict', 'ickt')\"\n",
    {
      checks: true,
      resolver: createZone(ZONE),
    },
  );
  const [answer] = await submit(test.address("smtp"), message("smith@bad.example"));
  assert.match(answer ?? "", /^250 /);
  const { fields } = await test.event("eval.wrong-value");
  assert.equal(fields["key"], "auth.dmarc.verify");
  assert.match(String(fields["reason"]), /expected one of relaxed, strict, disable, found 'strickt'.*strict/);
  await test.event("delivery.delivered");
  const [mail] = await test.mail("example.org/ana");
  assert.match(mail ?? "", /dmarc=fail/);
});
