/** Signed messages in a whole server: what is told of them, and what is refused. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";
import { ed25519Key, rsaKey, seal, sign } from "../support/signed_message.ts";
import { createZone } from "../support/zone.ts";

const RSA = rsaKey(2048);
const ED25519 = ed25519Key();
const ZONE = {
  "mail._domainkey.example.org": { txt: [RSA.record] },
  "ed._domainkey.example.org": { txt: [ED25519.record] },
  "slow._domainkey.example.org": { error: "timeout" },
  "_dmarc.example.org": { txt: ["v=DMARC1; p=reject"] },
} as const;

const MESSAGE = "From: Alice <alice@example.org>\r\nSubject: The harvest\r\n\r\nIt rained.\r\n..\r\nStill.\r\n";

const ALONE = `
auth.iprev.verify = "disable"
auth.spf.verify.ehlo = "disable"
auth.spf.verify.mail-from = "disable"
`;

async function send(content: string, settings = "") {
  await using test = await startTestServer(ALONE + settings, { checks: true, resolver: createZone(ZONE) });
  const [reply = ""] = await submit(test.address("smtp"), {
    from: "bounces@list.example",
    to: ["ana@example.org"],
    content,
  });
  if (!reply.startsWith("250 ")) return { reply, results: "" };
  await test.event("delivery.delivered");
  const [mail = ""] = await test.mail("example.org/ana");
  const field = /^Authentication-Results: mx\.example\.org;((?:\r?\n[ \t].*)+)/m.exec(mail)?.[1] ?? "";
  return { reply, results: field.replace(/\s+/g, " ").trim() };
}

Deno.test("a message of a list with two good signatures passes DKIM, and DMARC by them", async () => {
  const { results } = await send(sign(sign(MESSAGE, RSA), ED25519, { s: "ed" }));
  const signatures = results.match(/dkim=\w+ header\.d=\S+ header\.s=\w+ header\.a=[\w-]+/g);
  assert.deepEqual(signatures, [
    "dkim=pass header.d=example.org header.s=ed header.a=ed25519-sha256",
    "dkim=pass header.d=example.org header.s=mail header.a=rsa-sha256",
  ]);
  assert.match(results, /dmarc=pass/);
});

Deno.test("a message that was changed on its way fails, and is told apart from one without signatures", async () => {
  const changed = await send(sign(MESSAGE, RSA).replace("rained", "snowed"));
  assert.match(changed.results, /dkim=fail reason="the body has changed" header\.d=example\.org/);
  assert.match(changed.results, /dmarc=fail/);
  assert.match((await send(MESSAGE)).results, /dkim=none/);
});

Deno.test("a body too big for memory is verified as it stands in the store", async () => {
  const content = MESSAGE + "A line of a long story.\r\n".repeat(130_000) + "\r\n\r\n";
  assert.match((await send(sign(content, RSA))).results, /dkim=pass .*dmarc=pass/);
  assert.match((await send(sign(content, RSA).replace(/story\.\r\n\r\n/, "story!\r\n\r\n"))).results, /dkim=fail/);
});

Deno.test("an intact ARC chain is told even where the signature broke", async () => {
  const changed = sign(MESSAGE, RSA).replace("The harvest", "[list] The harvest");
  const { results } = await send(seal(seal(changed, RSA, 1), RSA, 2));
  assert.match(results, /dkim=fail/);
  assert.match(results, /arc=pass/);
  assert.match((await send(seal(MESSAGE, RSA, 1).replace("harvest", "storm"))).results, /arc=fail/);
});

Deno.test("strict: a message is refused if none of its signatures passes, for now if DNS is in trouble", async () => {
  const strict = 'auth.dkim.verify = "strict"\nauth.dmarc.verify = "disable"\n';
  const broken = sign(MESSAGE, RSA).replace("rained", "snowed");
  assert.match((await send(broken, strict)).reply, /^550 5\.7\.20 /);
  assert.match((await send(sign(MESSAGE, RSA, { l: "5" }), strict)).reply, /^550 5\.7\.21 /);
  assert.match((await send(sign(MESSAGE, RSA, { s: "slow" }), strict)).reply, /^451 4\.7\.20 /);
  for (const content of [MESSAGE, sign(MESSAGE, RSA), sign(broken, ED25519, { s: "ed" })]) {
    assert.match((await send(content, strict)).reply, /^250 /);
  }
});

Deno.test("auth.dkim.strict = false: a signature over a part of the body counts", async () => {
  const content = sign(MESSAGE, RSA, { l: "5" });
  assert.match((await send(content)).results, /dkim=policy/);
  assert.match((await send(content, "auth.dkim.strict = false\n")).results, /dkim=pass/);
});

Deno.test("strict: a broken chain is refused", async () => {
  const strict = 'auth.arc.verify = "strict"\nauth.dmarc.verify = "disable"\n';
  assert.match((await send(seal(MESSAGE, RSA, 1).replace("harvest", "storm"), strict)).reply, /^550 5\.7\.29 /);
  assert.match((await send(seal(MESSAGE, RSA, 1, { seal: { s: "slow" } }), strict)).reply, /^451 4\.7\.29 /);
  assert.match((await send(seal(MESSAGE, RSA, 1), strict)).reply, /^250 /);
});
