/** Signatures and chains of others, verified here: OpenDKIM, dkimpy and mailauth. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sealMessage } from "mailauth";
import { dkimSign } from "mailauth/lib/dkim/sign.js";
import { verifySignatures } from "../../src/authentication/mod.ts";
import { checkContext, ed25519Key, received, rsaKey, type TestKey } from "../support/signed_message.ts";
import { run } from "./server.ts";

const RSA = rsaKey(2048);
const ED25519 = ed25519Key();
const ZONE = {
  "mail._domainkey.example.org": { txt: [RSA.record] },
  "ed._domainkey.example.org": { txt: [ED25519.record] },
};
const NAMES = new Map([[RSA, "mail"], [ED25519, "ed"]]);

/** Debian's own Python, which has its dkim module. */
const PYTHON = "/usr/bin/python3";

const START = "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\n";

/** Messages in Latin-1. */
const MESSAGES: Readonly<Record<string, string>> = {
  "a plain one": `${START}Subject: hello\r\n\r\nIt rained.\r\n`,
  "an empty body": `${START}Subject: hello\r\n\r\n`,
  "empty lines alone": `${START}Subject: hello\r\n\r\n\r\n\r\n\r\n`,
  "empty lines at the end": `${START}Subject: hello\r\n\r\nend\r\n\r\n\r\n`,
  "blanks at the ends of lines": `${START}Subject: hello\r\n\r\na \r\nb\t\r\n \t \r\nc  d\t\te\r\n \r\n\r\n`,
  "tabs and folds in the header": `${START}Subject: a\t\r\n\t b \r\n   c\td  \r\n\r\nx\r\n`,
  "blanks behind the colon": `${START}Subject:\t a\r\nX-Other:1\r\nX-Empty:\r\n\r\nx\r\n`,
  "a long folded header": `${START}Subject: ${"word \r\n\t".repeat(120)}end\r\n\r\nx\r\n`,
  "8-bit octets": `${START}Subject: Gr\xfc\xdfe\r\n\r\n\xe4\xf6\xfc\xff\xa0\r\n`,
  "UTF-8": `${START}Subject: \xe2\x82\xac\r\n\r\n\xf0\x9f\x98\x80\r\n`,
  "fields that stand twice": `Received: by a\r\nReceived: by b\r\n${START}Subject: one\r\nSubject: two\r\n\r\nx\r\n`,
  "names in odd case": `FROM: <alice@example.org>\r\nto: bob@example.net\r\nSUBJECT: x\r\n\r\nx\r\n`,
  "a From with comments and quotes":
    `From: "Alice, \\"the\\" <x@y.example>" (of; b=abc) <alice@example.org>\r\nSubject: b=; bh=a;\r\n\r\nx\r\n`,
  "dots and lines of 998 octets": `${START}Subject: x\r\n\r\n.\r\n..\r\n${"x".repeat(998)}\r\n${"y ".repeat(499)}\r\n`,
  "a signature of somebody else":
    `DKIM-Signature: v=1; a=rsa-sha256; d=gone.example; s=x; h=from; bh=AAAA;\r\n\tb=AAAA\r\n` +
    `${START}Subject: x\r\n\r\nx\r\n`,
  "a long body": `${START}Subject: x\r\n\r\n${"Some text, and a little more.\r\n".repeat(10_000)}`,
};

const CANONICALIZATIONS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"];

const latin1 = (text: string) => Buffer.from(text, "latin1");

/** What the signatures of example.org in a message are worth. */
async function results(message: string): Promise<readonly string[]> {
  const { dkim = [] } = await verifySignatures(
    received(message),
    { dkim: true, arc: false, strict: true },
    { ...checkContext(ZONE), now: Date.now },
  );
  return dkim.filter(({ domain }) => domain === "example.org").map(({ result, reason }) =>
    reason === undefined ? result : `${result}: ${reason}`
  );
}

async function chain(message: string): Promise<string> {
  const { arc } = await verifySignatures(
    received(message),
    { dkim: false, arc: true, strict: true },
    { ...checkContext(ZONE), now: Date.now },
  );
  return `${arc?.result} ${arc?.instance}${arc?.reason === undefined ? "" : `: ${arc.reason}`}`;
}

function pem({ privateKey }: TestKey): string {
  return String(privateKey.export({ type: "pkcs8", format: "pem" }));
}

Deno.test("what OpenDKIM signs verifies, with RSA and Ed25519", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-opendkim-" });
  try {
    await Deno.writeTextFile(`${folder}/key.mail`, pem(RSA));
    await Deno.writeTextFile(`${folder}/key.ed`, pem(ED25519));
    for (const [name, message] of Object.entries(MESSAGES)) {
      await Deno.writeFile(`${folder}/message`, latin1(message));
      for (const [key, selector] of NAMES) {
        for (const canonicalization of CANONICALIZATIONS) {
          const simple = canonicalization.startsWith("simple");
          // With Ed25519 it may fold its field in another way than it signed it; it refuses that too.
          if (simple && key === ED25519) continue;
          const user = Deno.uid() === 0 ? ["UserID root"] : [];
          const lines = ["Mode s", "RequireSafeKeys no", "Domain example.org", `Selector ${selector}`, ...user];
          lines.push(`KeyFile ${folder}/key.${selector}`, `SignatureAlgorithm ${key.algorithm}`);
          lines.push(`Canonicalization ${canonicalization}`, "SignatureTTL 3600");
          lines.push("OversignHeaders From,Subject");
          await Deno.writeTextFile(`${folder}/conf`, `${lines.join("\n")}\n`);
          const output = await run("opendkim", ["-vv", "-t", `${folder}/message`, "-x", `${folder}/conf`]);
          const value = /hname='DKIM-Signature' hvalue='([^']*)'/.exec(output)?.[1];
          assert.ok(value !== undefined, output);
          const signed = `DKIM-Signature: ${value.replace(/\r?\n/g, "\r\n")}\r\n${message}`;
          // Its test mode reads fields without the blanks behind the colon.
          if (simple && name === "blanks behind the colon") continue;
          assert.deepEqual(await results(signed), ["pass"], `${name}, ${key.algorithm}, ${canonicalization}`);
          assert.notDeepEqual(await results(`Subject: added\r\n${signed}`), ["pass"], name);
        }
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const SIGN = `
import base64, dkim, json, sys
given = json.load(sys.stdin)
key = given["key"].encode()
for name, encoded in given["messages"]:
    message = base64.b64decode(encoded)
    signed = []
    for form in given["forms"]:
        head, body = (part.encode() for part in form.split("/"))
        field = dkim.sign(message, b"mail", b"example.org", key, canonicalize=(head, body))
        signed.append(base64.b64encode(field + message).decode())
    sealed = b"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org\\r\\n" + message
    sealed = b"".join(dkim.arc_sign(sealed, b"mail", b"example.org", key, b"mx.example.net")) + sealed
    print(json.dumps([name, signed, base64.b64encode(sealed).decode()]))
`;

Deno.test("what dkimpy signs and seals verifies", async () => {
  const messages = Object.entries(MESSAGES).map(([name, text]) => [name, latin1(text).toString("base64")]);
  const key = String(RSA.privateKey.export({ type: "pkcs1", format: "pem" }));
  const output = await run(PYTHON, ["-c", SIGN], JSON.stringify({ key, forms: CANONICALIZATIONS, messages }));
  const lines = output.trim().split("\n").map((line): [string, string[], string] => JSON.parse(line));
  assert.equal(lines.length, messages.length, output);
  const decode = (text: string) => Buffer.from(text, "base64").toString("latin1");
  for (const [name, signed, sealed] of lines) {
    for (const [index, message] of signed.entries()) {
      assert.deepEqual(await results(decode(message)), ["pass"], `${name}, ${CANONICALIZATIONS[index]}`);
    }
    assert.equal(await chain(decode(sealed)), "pass 1", name);
  }
});

Deno.test("what mailauth signs and seals verifies, set upon set", async () => {
  for (const [name, message] of Object.entries(MESSAGES)) {
    for (const canonicalization of CANONICALIZATIONS) {
      for (const [key, selector] of NAMES) {
        const by = { signingDomain: "example.org", selector, privateKey: pem(key) };
        const { signatures } = await dkimSign(latin1(message), { ...by, canonicalization, signatureData: [by] });
        assert.deepEqual(
          await results(signatures + message),
          ["pass"],
          `${name}, ${key.algorithm}, ${canonicalization}`,
        );
      }
    }
    let sealed = message;
    for (const instance of [1, 2, 3]) {
      const fields = await sealMessage(latin1(sealed), {
        signingDomain: "example.org",
        selector: "mail",
        privateKey: pem(RSA),
        authResults: "mx.example.net; dkim=pass header.d=example.org",
        cv: instance === 1 ? "none" : "pass",
      });
      sealed = fields.toString("latin1") + sealed;
      assert.equal(await chain(sealed), `pass ${instance}`, name);
    }
    assert.match(await chain(sealed.replace("alice@", "mallory@")), /^fail 3: message signature 3/);
  }
});
