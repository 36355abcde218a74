import assert from "node:assert/strict";
import { createHash, verify } from "node:crypto";
import type { SignatureConfig } from "../../../../src/config/config.ts";
import { verifySignatures } from "../../../../src/authentication/mod.ts";
import { createGate } from "../../../../src/authentication/signing/private_key.ts";
import { type Content, memoryContent, parseHeader } from "../../../../src/message/mod.ts";
import { ED25519, NOW, octets, RSA, signature, signerOf, text, zoneOf } from "./signing_keys.ts";

const MESSAGE = `Received: by mx.example.net; Mon, 5 Jan 2026 11:00:00 +0000\r
From: Ana Lima <ana@example.net>\r
To: bob@example.org,\r
\tcarl@example.org\r
SUBJECT:  two \t words \r
Date: Mon, 05 Jan 2026 12:00:00 +0000\r
To: dora@example.org\r
\r
Hello  Bob \r
\tgood\tbye\r
\r
\r
`;

async function sign(message: string, signatures: readonly SignatureConfig[]) {
  const { signer, events } = signerOf(...signatures);
  const fields = await signer.sign({
    content: memoryContent(octets(message)),
    signatures: signatures.map(({ id }) => id),
    about: { id: "m1" },
  });
  return { fields: text(fields), events };
}

/** The tags of a field, blanks taken out. */
function tagsOf(field: string): Record<string, string> {
  const value = field.slice(field.indexOf(":") + 1).replace(/\s+/g, "");
  return Object.fromEntries(
    value.split(";").map((tag) => {
      const equals = tag.indexOf("=");
      return [tag.slice(0, equals), tag.slice(equals + 1)];
    }),
  );
}

/** The field up to the value of its signature. */
function unsigned(field: string): string {
  return field.slice(0, field.search(/\bb=[A-Za-z0-9+/]/) + 2);
}

Deno.test("relaxed: the octets that RFC 6376 §3.4 and §3.7 describe are signed", async () => {
  const { fields } = await sign(MESSAGE, [signature("r")]);
  const tags = tagsOf(fields);
  // RFC 6376 §3.4.4: runs of blanks are one, blanks at the end of lines and empty lines at the end are gone.
  assert.equal(tags.bh, createHash("sha256").update("Hello Bob\r\n good bye\r\n").digest("base64"));
  // §5.4.2: the lowest To comes first. From, To, Date and Subject are each named once more than they are there.
  assert.equal(tags.h, "From:From:To:To:To:Date:Date:Subject:Subject");
  const signed = "from:Ana Lima <ana@example.net>\r\n" +
    "to:dora@example.org\r\n" +
    "to:bob@example.org, carl@example.org\r\n" +
    "date:Mon, 05 Jan 2026 12:00:00 +0000\r\n" +
    "subject:two words\r\n" +
    unsigned(fields).replace("DKIM-Signature: ", "dkim-signature:").replaceAll(/\s+/g, " ");
  assert.ok(verify("sha256", octets(signed), RSA.publicKey, octets(atob(tags.b!))));
});

Deno.test("simple: fields and body are signed as they stand", async () => {
  const { fields } = await sign(MESSAGE, [
    signature("r", { canonicalization: { header: "simple", body: "simple" }, headers: ["From", "Subject", "To"] }),
  ]);
  const tags = tagsOf(fields);
  assert.equal(tags.bh, createHash("sha256").update("Hello  Bob \r\n\tgood\tbye\r\n").digest("base64"));
  const signed = "From: Ana Lima <ana@example.net>\r\n" +
    "SUBJECT:  two \t words \r\n" +
    "To: dora@example.org\r\n" +
    "To: bob@example.org,\r\n\tcarl@example.org\r\n" +
    unsigned(fields);
  assert.ok(verify("sha256", octets(signed), RSA.publicKey, octets(atob(tags.b!))));
});

Deno.test("ed25519 signs the SHA-256 hash (RFC 8463 §3)", async () => {
  const { fields } = await sign("From: a@example.net\r\n\r\nHi\r\n", [
    signature("e", { algorithm: "ed25519-sha256", headers: ["From"] }),
  ]);
  const tags = tagsOf(fields);
  const signed = `from:a@example.net\r\n${
    unsigned(fields).replace("DKIM-Signature: ", "dkim-signature:").replaceAll(/\s+/g, " ")
  }`;
  const hash = createHash("sha256").update(octets(signed)).digest();
  assert.equal(tags.a, "ed25519-sha256");
  assert.ok(verify(null, hash, ED25519.publicKey, octets(atob(tags.b!))));
});

Deno.test("the body of RFC 8463 appendix A has the hash printed there", async () => {
  const { fields } = await sign(
    "From: a@example.net\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n",
    [
      signature("e", { algorithm: "ed25519-sha256" }),
    ],
  );
  assert.equal(tagsOf(fields).bh, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
});

Deno.test("rsa-sha1 hashes with SHA-1 all through", async () => {
  const { fields } = await sign("From: a@example.net\r\n\r\nHi\r\n", [
    signature("r", { algorithm: "rsa-sha1", headers: ["From"] }),
  ]);
  const tags = tagsOf(fields);
  assert.equal(tags.bh, createHash("sha1").update("Hi\r\n").digest("base64"));
  const signed = `from:a@example.net\r\n${
    unsigned(fields).replace("DKIM-Signature: ", "dkim-signature:").replaceAll(/\s+/g, " ")
  }`;
  assert.ok(verify("sha1", octets(signed), RSA.publicKey, octets(atob(tags.b!))));
});

Deno.test("every setting shows in its tag", async () => {
  const { fields } = await sign(MESSAGE, [
    signature("r", {
      domain: "xn--bcher-kva.example",
      expire: 90_000,
      auid: "j; =é@news.xn--bcher-kva.example",
      setBodyLength: true,
      report: true,
      thirdParty: { domain: "author.example", hash: "sha256" },
      canonicalization: { header: "simple", body: "relaxed" },
    }),
  ]);
  const { h: _h, bh: _bh, b: _b, ...rest } = tagsOf(fields);
  assert.deepEqual(rest, {
    v: "1",
    a: "rsa-sha256",
    c: "simple/relaxed",
    d: "xn--bcher-kva.example",
    s: "r",
    t: "1767614400",
    x: "1767614490",
    // RFC 6376 §2.11: quoted-printable.
    i: "j=3B=20=3D=C3=A9@news.xn--bcher-kva.example",
    // "Hello Bob\r\n good bye\r\n"
    l: "22",
    r: "y",
    atps: "author.example",
    atpsh: "sha256",
  });
});

Deno.test("only fields that are there are named, but for From, To, Date and Subject", async () => {
  const { fields } = await sign("X-A: 1\r\nfrom: a@example.net\r\nx-a: 2\r\n\r\n", [
    signature("r", { headers: ["From", "Subject", "X-A", "X-B"] }),
  ]);
  assert.equal(tagsOf(fields).h, "From:From:Subject:X-A:X-A");
});

Deno.test("no line of the field is longer than 78 octets, however many fields are signed", async () => {
  const names = Array.from({ length: 60 }, (_, index) => `X-Field-Number-${index}`);
  const message = names.map((name) => `${name}: x\r\n`).join("") + "From: a@example.net\r\n\r\n";
  const { fields } = await sign(message, [signature("r", { headers: ["From", ...names] })]);
  for (const line of fields.split("\r\n")) assert.ok(line.length <= 78, line);
  assert.match(fields, /\r\n$/);
  assert.doesNotMatch(fields, /\r\n\S/);
});

Deno.test("a body without a line end at its end hashes like one with it, and no body like an empty line or nothing", async () => {
  const hash = async (body: string, kind: "simple" | "relaxed") => {
    const canonicalization = { header: "relaxed", body: kind } as const;
    const { fields } = await sign(`From: a@example.net\r\n${body}`, [signature("r", { canonicalization })]);
    return tagsOf(fields).bh;
  };
  const sha256 = (text: string) => createHash("sha256").update(text).digest("base64");
  for (const kind of ["simple", "relaxed"] as const) {
    assert.equal(await hash("\r\nHi", kind), sha256("Hi\r\n"));
  }
  for (const body of ["\r\n", "", "\r\n\r\n\r\n"]) {
    // RFC 6376 §3.4.3, §3.4.4
    assert.equal(await hash(body, "simple"), sha256("\r\n"));
    assert.equal(await hash(body, "relaxed"), sha256(""));
  }
});

Deno.test("content that comes in chunks is hashed like content in one piece, and is read once", async () => {
  const whole = octets(MESSAGE + "line of text\r\n".repeat(2000));
  const { signer } = signerOf(signature("a"), signature("b", { algorithm: "ed25519-sha256" }));
  let reads = 0;
  const chunked: Content = {
    size: whole.length,
    head: whole.subarray(0, 400),
    complete: false,
    async *chunks() {
      reads++;
      yield whole.subarray(0, 400);
      for (let at = 400; at < whole.length; at += 777) yield whole.slice(at, at + 777);
    },
  };
  const [inChunks, inOne] = await Promise.all(
    [chunked, memoryContent(whole)].map(async (content) =>
      text(await signer.sign({ content, signatures: ["a", "b"], about: {} }))
    ),
  );
  assert.equal(inChunks, inOne);
  assert.equal(reads, 1);
});

Deno.test("so many RSA signatures are computed at once as there are threads, and a failure frees its place", async () => {
  const gate = createGate(2);
  const open: PromiseWithResolvers<string>[] = [];
  const results = Array.from({ length: 4 }, () =>
    gate.run(() => {
      const work = Promise.withResolvers<string>();
      open.push(work);
      return work.promise;
    }).catch((error: Error) => error.message));
  await Promise.resolve();
  assert.equal(open.length, 2);
  open[1]!.reject(new Error("failed"));
  assert.equal(await results[1], "failed");
  assert.equal(open.length, 3);
  open[0]!.resolve("first");
  await results[0];
  open[2]!.resolve("third");
  open[3]!.resolve("fourth");
  assert.deepEqual(await Promise.all(results), ["first", "failed", "third", "fourth"]);
});

Deno.test("each signature stands on its own; one that is not defined is an event and skipped", async () => {
  const { signer, events } = signerOf(signature("r"), signature("e", { algorithm: "ed25519-sha256" }));
  const content = memoryContent(octets(MESSAGE));
  const fields = text(await signer.sign({ content, signatures: ["e", "gone", "r", "e"], about: { id: "m1" } }));
  assert.deepEqual([...fields.matchAll(/ s=(\w+);/g)].map(([, selector]) => selector), ["e", "r"]);
  assert.deepEqual(events[0], { name: "dkim.signer-not-found", fields: { id: "m1", signature: "gone" } });
  const about = { id: "m1", domain: "example.net" };
  assert.deepEqual(events.slice(1).map(({ name, fields }) => ({ name, fields })).toSorted(bySignature), [
    { name: "dkim.signed", fields: { ...about, signature: "e", selector: "e", algorithm: "ed25519-sha256" } },
    { name: "dkim.signed", fields: { ...about, signature: "r", selector: "r", algorithm: "rsa-sha256" } },
  ]);
  assert.equal((await signer.sign({ content, signatures: [], about: {} })).length, 0);
});

Deno.test("who asks for the whole body gets no l=, and further fields are signed beside the configured ones", async () => {
  const { signer } = signerOf(signature("r", { setBodyLength: true, headers: ["From", "to"] }));
  const content = memoryContent(octets(MESSAGE));
  const make = async (more: { wholeBody?: true; fields?: readonly string[] }) =>
    tagsOf(text(await signer.sign({ content, signatures: ["r"], about: {}, ...more })));
  assert.equal((await make({})).l, "22");
  const tags = await make({ wholeBody: true, fields: ["TO", "Received"] });
  assert.deepEqual([tags.l, tags.h], [undefined, "From:From:to:to:to:Received"]);
});

function bySignature(a: { fields: { signature?: unknown } }, b: { fields: { signature?: unknown } }): number {
  return String(a.fields.signature).localeCompare(String(b.fields.signature));
}

Deno.test("what is signed here verifies here, and not after a change", async () => {
  const signatures = [
    signature("r", { expire: 60_000, auid: "ana@example.net", setBodyLength: false }),
    signature("s", { canonicalization: { header: "simple", body: "simple" } }),
    signature("e", { algorithm: "ed25519-sha256", report: true }),
  ];
  const { fields } = await sign(MESSAGE, signatures);
  const check = async (message: string) => {
    const content = memoryContent(octets(message));
    const { dkim = [] } = await verifySignatures(
      { content, header: parseHeader(content.head) },
      { dkim: true, arc: false, strict: true },
      { resolver: zoneOf(...signatures), now: () => NOW, random: () => 0.5 },
    );
    return dkim.map(({ result }) => result);
  };
  assert.deepEqual(await check(fields + MESSAGE), ["pass", "pass", "pass"]);
  assert.deepEqual(await check(fields + MESSAGE.replace("Hello  Bob", "Hello Bob")), ["pass", "fail", "pass"]);
  assert.deepEqual(await check(fields + MESSAGE.replace("good", "bad")), ["fail", "fail", "fail"]);
  // None of the four can be added.
  for (const name of ["From", "To", "Date", "Subject"]) {
    assert.deepEqual(await check(`${fields}${name}: x\r\n${MESSAGE}`), ["fail", "fail", "fail"], name);
  }
});
