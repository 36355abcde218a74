import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Content, memoryContent, planSevenBit, writeSevenBit } from "../../../src/message/mod.ts";

/** Octets of a text: UTF-8 in the text stays UTF-8, and `\xNN` written as U+F7NN is that octet. */
function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.concat(Array.from(text, (char) => {
    const code = char.codePointAt(0)!;
    return code >= 0xf700 && code <= 0xf7ff ? Buffer.of(code - 0xf700) : Buffer.from(char, "utf-8");
  })));
}

/** One raw octet for {@link bytesOf}. */
const raw = (octet: number) => String.fromCharCode(0xf700 + octet);

function inChunks(bytes: Uint8Array, size: number): Content {
  return {
    size: bytes.length,
    head: bytes.subarray(0, size),
    complete: false,
    *chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
    },
  };
}

/** The rewritten message; undefined if it stays as it is. However it is cut into chunks, the result is the same. */
async function rewrite(message: string | Uint8Array, binary = false): Promise<string | undefined> {
  const bytes = typeof message === "string" ? bytesOf(message) : message;
  const results = new Set<string | undefined>();
  for (const content of [memoryContent(bytes), ...[1, 2, 7, 64, 5000].map((size) => inChunks(bytes, size))]) {
    const plan = await planSevenBit(content, { binary });
    if (plan === undefined) {
      results.add(undefined);
      continue;
    }
    const parts: Uint8Array[] = [];
    await writeSevenBit(content, plan, (part) => void parts.push(part.slice()));
    results.add(Buffer.concat(parts).toString("latin1"));
  }
  assert.equal(results.size, 1, [...results].map((one) => JSON.stringify(one)?.slice(0, 500)).join("\n"));
  return [...results][0];
}

async function left(message: string, binary = false) {
  return (await planSevenBit(memoryContent(bytesOf(message)), { binary }))?.left;
}

Deno.test("what passes everywhere stays as it is", async () => {
  assert.equal(await rewrite("Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"), undefined);
  assert.equal(await rewrite(`Subject: x\r\n\r\n${"y".repeat(998)}\r\nz\r\n`), undefined);
  assert.equal(await rewrite(""), undefined);
});

Deno.test("8-bit text becomes quoted-printable", async () => {
  assert.equal(
    await rewrite(
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n" +
        "\r\nGrüße = 1\r\nblank at the end \r\n\ttab\t\r\n.\r\nFrom here\r\n\r\n",
    ),
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n" +
      "Subject: x\r\n\r\n" +
      "Gr=C3=BC=C3=9Fe =3D 1\r\nblank at the end=20\r\n\ttab=09\r\n=2E\r\n=46rom here\r\n\r\n",
  );
});

Deno.test("a message that does not say what it is gets the fields it needs", async () => {
  assert.equal(
    await rewrite("Subject: x\r\n\r\nä\r\n"),
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n",
  );
  // RFC 1428 §3: the charset of what is no UTF-8 is not known.
  assert.match(await rewrite(`Subject: x\r\n\r\n${raw(0xe4)}\r\n`) ?? "", /charset=unknown-8bit\r\n.*\r\n\r\n=E4\r\n$/);
});

Deno.test("encoded lines have at most 76 octets, and decode to what there was", async () => {
  const line = "ä".repeat(40) + "b".repeat(100) + " ".repeat(90) + "c";
  const result = await rewrite(`Content-Type: text/plain\r\n\r\n${line}\r\n`);
  const body = result!.slice(result!.indexOf("\r\n\r\n") + 4);
  for (const one of body.split("\r\n")) assert.ok(one.length <= 76, one);
  const decoded = body.replaceAll("=\r\n", "").replaceAll(
    /=([0-9A-F]{2})/g,
    (_, hex) => String.fromCharCode(parseInt(hex, 16)),
  );
  assert.equal(Buffer.from(decoded, "latin1").toString(), `${line}\r\n`);
});

Deno.test("lines over 998 octets are broken by an encoding", async () => {
  const result = await rewrite(`Content-Type: text/html\r\n\r\n<p>${"x".repeat(20_000)}\r\nend\r\n`);
  assert.match(result ?? "", /^Content-Type: text\/html\r\nMIME-Version: 1\.0\r\nContent-Transfer-Encoding: quoted-/);
  assert.equal(
    result!.slice(result!.indexOf("\r\n\r\n") + 4).replaceAll("=\r\n", ""),
    `<p>${"x".repeat(20_000)}\r\nend\r\n`,
  );
});

const MULTIPART = `MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="b 1"\r
Content-Transfer-Encoding: 8bit\r
\r
preamble\r
--b 1\r
\r
plain\r
--b 1 \r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: 8BIT\r
\r
${raw(0xe9)}t${raw(0xe9)}\r
--b 1\r
Content-Type: application/x-data\r
\r
a\r
${raw(0xff)}\r
--b 1\r
Content-Type: text/plain\r
Content-Transfer-Encoding: base64\r
\r
/w==\r
--b 1--\r
epilogue\r
`;

Deno.test("in a multipart message the parts that need it are encoded, text and data each in its way", async () => {
  assert.equal(
    await rewrite(MULTIPART),
    MULTIPART
      .replace("Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: 7bit")
      .replace("8BIT", "quoted-printable")
      .replace(`${raw(0xe9)}t${raw(0xe9)}`, "=E9t=E9")
      // The line end before a boundary is no content (RFC 2046 §5.1.1): "a", CR, LF, 0xff.
      .replace(`x-data\r\n\r\na\r\n${raw(0xff)}`, "x-data\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ0K/w=="),
  );
  assert.equal(await left(MULTIPART), "7bit");
});

Deno.test("messages inside messages are rewritten inside", async () => {
  const message = (inner: string, encoding: string) =>
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n" +
    `Content-Transfer-Encoding: ${encoding}\r\n\r\n${inner}--o\r\nContent-Type: text/plain\r\n\r\nlast\r\n--o--\r\n`;
  assert.equal(
    await rewrite(
      message("Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nö\r\n", "8bit"),
    ),
    message(
      "Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
        "=C3=B6\r\n",
      "7bit",
    ),
  );
});

Deno.test("a message inside that does not say what it is gets its fields as well", async () => {
  const result = await rewrite(`Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n${raw(0xe4)}\r\n`);
  assert.equal(
    result,
    "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\n" +
      "Content-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n",
  );
});

Deno.test("parts of a digest that name no type are messages (RFC 2046 §5.1.5)", async () => {
  const digest = (encoding: string, body: string) =>
    "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n" +
    `Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain${encoding}\r\n\r\n${body}\r\n--d\r\n\r\nSubject: two\r\n\r\nplain\r\n--d--\r\n`;
  assert.equal(
    await rewrite(digest("", "ö")),
    digest("\r\nContent-Transfer-Encoding: quoted-printable", "=C3=B6"),
  );
});

Deno.test("what is signed, and what is encoded already, stays octet for octet", async () => {
  for (
    const [type, encoding] of [
      ['multipart/signed; boundary=b; protocol="application/pgp-signature"', "8bit"],
      ["message/partial; id=x; number=1", "7bit"],
      ["text/plain", "quoted-printable"],
      ["text/plain", "x-uuencode"],
      ["multipart/mixed", "8bit"],
    ]
  ) {
    const message = `MIME-Version: 1.0\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n` +
      "--b\r\nContent-Type: text/plain\r\n\r\nü\r\n--b--\r\n";
    assert.equal(await rewrite(message), undefined, `${type}`);
  }
});

Deno.test("labels stay where 8 bits are left", async () => {
  const message = "Subject: ü\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n" +
    "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nü\r\n--b--\r\n";
  assert.match(await rewrite(message) ?? "", /boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n/);
  assert.equal(await left(message), "8bitmime");
});

Deno.test("binary content becomes Base64, line ends and all", async () => {
  const message = `MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n\n${
    raw(0x89)
  }\r`;
  const result = await rewrite(message, true);
  assert.equal(
    result,
    "MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
      `${Buffer.of(0, 13, 10, 10, 0x89, 13).toString("base64")}\r\n`,
  );
  assert.equal(await left(message, true), "7bit");
  const text = await rewrite("Content-Type: text/plain\r\n\r\na\rb\nc\r\n", true);
  assert.equal(text!.slice(text!.indexOf("\r\n\r\n") + 4), "a=0Db=0Ac\r\n");
});

Deno.test("a whole file of octets survives in Base64", async () => {
  const data = Uint8Array.from({ length: 10_000 }, (_, index) => (index * 7 + (index >> 5)) & 0xff);
  const message = Buffer.concat([Buffer.from("Content-Type: application/octet-stream\r\n\r\n"), data]);
  const result = await rewrite(new Uint8Array(message), true);
  const body = result!.slice(result!.indexOf("\r\n\r\n") + 4);
  for (const line of body.trimEnd().split("\r\n")) assert.ok(line.length <= 76);
  assert.deepEqual(new Uint8Array(Buffer.from(body, "base64")), data);
});

Deno.test("deep nesting and headers without end are bounded, and left alone", async () => {
  let deep = "";
  for (let level = 0; level < 200; level++) {
    deep += `Content-Type: multipart/mixed; boundary=b${level}\r\n\r\n--b${level}\r\n`;
  }
  assert.equal(await rewrite(`${deep}Content-Type: text/plain\r\n\r\nü\r\n`), undefined);
  const long = bytesOf(`X: ü\r\n${"Y: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(6000)}\r\nü\r\n`);
  assert.equal(await planSevenBit(memoryContent(long), { binary: false }), undefined);
});

Deno.test("a part that is all header, and a message without an end, are taken as they come", async () => {
  assert.match(
    await rewrite("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: 1\r\n--b\r\n\r\nü") ?? "",
    /\r\n--b\r\nX: 1\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC$/,
  );
});
