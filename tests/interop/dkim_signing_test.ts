/** Signatures and seals made here, held against verifiers of others: OpenDKIM, dkimpy and mailauth. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { authenticate, sealMessage } from "mailauth";
import { createSigner, type Signer, verifySignatures } from "../../src/authentication/mod.ts";
import type { SignatureConfig } from "../../src/config/config.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { octets, publicKeyText, type SigningKey, signingKey } from "../support/signing_keys.ts";
import { createZone } from "../support/zone.ts";
import { run, tryRun } from "./server.ts";

const rsa = signingKey("rsa-sha256", "r1");
const ed = signingKey("ed25519-sha256", "e1");
const KEYS: Readonly<Record<string, string>> = Object.fromEntries(
  [rsa, ed].map((key) => [`${key.selector}._domainkey.example.org`, publicKeyText(key)]),
);

/** Debian's own Python, which has its dkim module. */
const PYTHON = "/usr/bin/python3";

function signature(id: string, key: SigningKey, canonicalization: string, rest: Partial<SignatureConfig> = {}) {
  const [header, body] = canonicalization.split("/") as ["simple" | "relaxed", "simple" | "relaxed"];
  const config: SignatureConfig = {
    id,
    privateKey: createPrivateKey(key.pem),
    domain: "example.org",
    selector: key.selector,
    algorithm: key.algorithm,
    headers: [
      ...["From", "To", "Cc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "References"],
      ...["MIME-Version", "Content-Type", "List-Id"],
    ],
    canonicalization: { header, body },
    expire: undefined,
    thirdParty: undefined,
    auid: undefined,
    setBodyLength: false,
    report: false,
    ...rest,
  };
  return [id, config] as const;
}

const SIGNATURES = new Map([
  signature("rsa relaxed/relaxed", rsa, "relaxed/relaxed"),
  signature("rsa simple/simple", rsa, "simple/simple", { expire: 86_400_000, auid: "ana=x@news.example.org" }),
  signature("rsa relaxed/simple", rsa, "relaxed/simple", { setBodyLength: true }),
  signature("ed25519 relaxed/relaxed", ed, "relaxed/relaxed", { report: true }),
  signature("ed25519 simple/relaxed", ed, "simple/relaxed"),
]);

function signer(): Signer {
  return createSigner(SIGNATURES, { threads: 2, now: Date.now, emit: () => {} });
}

const HEADER = `From: Ana Lima <ana@example.org>\r
To: bob@example.net\r
Subject: hello\r
Date: Mon, 05 Jan 2026 12:00:00 +0000\r
Message-ID: <1@example.org>\r
`;
const utf8 = (text: string) => Buffer.from(text).toString("latin1");

/** Messages as they come, octets in Latin-1. */
const MESSAGES: Readonly<Record<string, string>> = {
  "a plain one": `${HEADER}\r\nHello Bob\r\n`,
  "an empty body": `${HEADER}\r\n`,
  "a header alone": HEADER,
  "one empty line as body": `${HEADER}\r\n\r\n`,
  "many empty lines as body": `${HEADER}\r\n\r\n\r\n\r\n\r\n`,
  "empty lines at the end": `${HEADER}\r\nHello\r\n\r\n\r\n\r\n`,
  "empty lines in the middle": `${HEADER}\r\nHello\r\n\r\n\r\n\r\nBob\r\n`,
  "empty lines at the start": `${HEADER}\r\n\r\n\r\nHello\r\n`,
  "no line end at the end": `${HEADER}\r\nHello Bob`,
  "blanks at the ends of lines": `${HEADER}\r\nHello \r\nBob\t\r\n \t \r\n`,
  "a line of blanks alone at the end": `${HEADER}\r\nHello\r\n   \r\n\t\r\n`,
  "a body of blanks alone": `${HEADER}\r\n \t \r\n`,
  "runs of blanks and tabs": `${HEADER}\r\nHello   Bob\t\t \tBob\r\n\tindented\r\n  twice\r\n`,
  "dots at the start of lines": `${HEADER}\r\n.\r\n..\r\n.x\r\n`,
  "lines that begin with From": `${HEADER}\r\nFrom here\r\n>From there\r\n`,
  "UTF-8 in the body": `${HEADER}\r\n${utf8("Grüße, 世界, \u{1f426}")}\r\n`,
  "Latin-1 in the body": `${HEADER}\r\n\xe4\xf6\xfc\xff\xa0\r\n`,
  "no-break spaces at the ends of lines": `${HEADER}\r\nx${utf8("\u00a0")}\r\n\xa0\xa0\r\n`,
  "UTF-8 in header fields": `${HEADER.replace("hello", utf8("grüß dich"))}\r\nx\r\n`,
  "a long folded subject": `${
    HEADER.replace("hello", `${"word ".repeat(30)}\r\n\t${"more ".repeat(30)}\r\n  end`)
  }\r\nx\r\n`,
  "a hundred recipients, folded": `${
    HEADER.replace("bob@example.net", Array.from({ length: 100 }, (_, n) => `p${n}@example.net`).join(",\r\n "))
  }\r\nx\r\n`,
  "folds of several blanks": `${HEADER.replace("hello", "a\r\n   \t b \r\n\tc  ")}\r\nx\r\n`,
  "a fold right behind the colon": `${HEADER.replace(" hello", "\r\n hello")}\r\nx\r\n`,
  "no blank behind the colon": `${HEADER.replace("Subject: ", "Subject:")}\r\nx\r\n`,
  "an empty subject": `${HEADER.replace(" hello", "")}\r\nx\r\n`,
  "names in odd case": `${HEADER.replace("From", "FROM").replace("Subject", "sUBJECT")}\r\nx\r\n`,
  "two subjects and three recipients": `${HEADER}Subject: again\r\nTo: c@example.net\r\nTO: d@example.net\r\n\r\nx\r\n`,
  "fields of no signature on every side": `X-First: 1\r\n${HEADER}X-Last: 2\r\nReceived: from a by b\r\n\r\nx\r\n`,
  "From with a comment and quotes": `${
    HEADER.replace("Ana Lima", `"Lima, \\"Ana\\" <x@y>" (of; the=office)`)
  }\r\nx\r\n`,
  "an encoded word": `${HEADER.replace("hello", "=?utf-8?q?gr=C3=BC=C3=9F?=\r\n =?utf-8?b?4oKs?=")}\r\nx\r\n`,
  "semicolons and colons in a subject": `${HEADER.replace("hello", "b=; bh=x; d=example.com: h=From")}\r\nx\r\n`,
  "a multipart body": `${HEADER}MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="=_b"\r\n\r\n` +
    "preamble\r\n--=_b\r\n\r\none\r\n--=_b\r\nContent-Type: text/html\r\n\r\n<p>two</p>\r\n--=_b--\r\n",
  "lines of 998 octets": `${HEADER}\r\n${"x".repeat(998)}\r\n${"y ".repeat(499)}\r\n`,
  "another's signature":
    `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=gone.example; s=x;\r\n\th=From; bh=AAAA; b=AAAA\r\n${HEADER}\r\nx\r\n`,
  "a long body": `${HEADER}\r\n${"A line of text, and one more.\r\n".repeat(20_000)}`,
};

async function signed(message: string): Promise<Uint8Array> {
  const content = memoryContent(octets(message));
  const fields = await signer().sign({ content, signatures: [...SIGNATURES.keys()], about: {} });
  return Buffer.concat([fields, content.head]);
}

const ALL = await Promise.all(
  Object.entries(MESSAGES).map(async ([name, message]) => [name, await signed(message)] as const),
);

/** DNS for mailauth. */
function resolver(name: string, type: string): Promise<string[][]> {
  const text = type === "TXT" ? KEYS[name] : undefined;
  if (text !== undefined) return Promise.resolve([[text]]);
  return Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
}

/** Our own signatures among those that a verifier told of. */
const own = <T extends { readonly domain: string }>(results: readonly T[]) =>
  results.filter(({ domain }) => domain === "example.org");

/** Its test mode reads fields without the blanks behind the colon, and "simple" is about these too. */
const LOSES_BLANKS = ["a fold right behind the colon", "no blank behind the colon", "an empty subject"];

Deno.test("OpenDKIM accepts every signature of every message", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-opendkim-" });
  try {
    const keys = Object.entries(KEYS).map(([name, text]) => `${name} ${text}\n`).join("");
    await Deno.writeTextFile(`${folder}/keys`, keys);
    await Deno.writeTextFile(
      `${folder}/conf`,
      `Mode v\nTestPublicKeys ${folder}/keys\nUserID ${
        Deno.uid() === 0 ? "root" : Deno.uid()
      }\nMaximumSignaturesToVerify 10\n`,
    );
    for (const [name, message] of ALL) {
      // It reads whole lines, as DATA would have made them.
      const ends = message.at(-1) === 0x0a;
      await Deno.writeFile(`${folder}/message`, ends ? message : Buffer.concat([message, Buffer.from("\r\n")]));
      const { output } = await tryRun("opendkim", ["-vv", "-t", `${folder}/message`, "-x", `${folder}/conf`]);
      const passed = output.match(/dkim=pass [^;']*header\.d=example\.org/g) ?? [];
      const expected = [...SIGNATURES.values()].filter((one) =>
        !LOSES_BLANKS.includes(name) || one.canonicalization.header === "relaxed"
      );
      assert.equal(passed.length, expected.length, `${name}:\n${output}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const VERIFY = `
import base64, dkim, json, sys
given = json.load(sys.stdin)
def txt(name, timeout=5):
    found = given["keys"].get(name.decode().rstrip("."))
    return None if found is None else found.encode()
for name, encoded in given["messages"]:
    message = base64.b64decode(encoded)
    results = []
    for index in range(given["count"]):
        try:
            results.append(dkim.DKIM(message).verify(index, dnsfunc=txt))
        except Exception as error:
            results.append(repr(error))
    print(json.dumps([name, results]))
`;

Deno.test("dkimpy accepts every signature of every message", async () => {
  const given = {
    keys: KEYS,
    count: SIGNATURES.size,
    messages: ALL.map(([name, message]) => [name, Buffer.from(message).toString("base64")]),
  };
  const output = await run(PYTHON, ["-c", VERIFY], JSON.stringify(given));
  const lines = output.trim().split("\n").map((line): [string, unknown[]] => JSON.parse(line));
  assert.equal(lines.length, ALL.length, output);
  for (const [name, results] of lines) assert.deepEqual(results, results.map(() => true), name);
});

Deno.test("mailauth accepts every signature of every message", async () => {
  for (const [name, message] of ALL) {
    const { dkim } = await authenticate(Buffer.from(message), {
      ip: "192.0.2.1",
      helo: "client.example.org",
      sender: "ana@example.org",
      mta: "mx.example.net",
      resolver,
    });
    const results = own(dkim.results.map(({ signingDomain = "", status }) => ({ domain: signingDomain, status })));
    assert.deepEqual(results.map(({ status }) => status.result), [...SIGNATURES].map(() => "pass"), name);
  }
});

/** The message with one more set, sealed here; the chain is judged here too. */
async function seal(
  message: Uint8Array,
  results = "mx.example.org;\r\n\tdkim=pass header.d=example.org",
): Promise<Uint8Array> {
  const content = memoryContent(message);
  const header = parseHeader(message);
  const { arc } = await verifySignatures({ content, header }, { dkim: false, arc: true, strict: true }, {
    resolver: createZone(Object.fromEntries(Object.entries(KEYS).map(([name, text]) => [name, { txt: [text] }]))),
    now: Date.now,
    random: Math.random,
  });
  const fields = await signer().sign({
    content,
    header,
    signatures: [],
    seal: { signature: "rsa relaxed/relaxed", chain: arc?.result ?? "none", results },
    about: {},
  });
  assert.notEqual(fields.length, 0);
  return Buffer.concat([fields, message]);
}

const ARC_VERIFY = `
import base64, dkim, json, sys
given = json.load(sys.stdin)
def txt(name, timeout=5):
    found = given["keys"].get(name.decode().rstrip("."))
    return None if found is None else found.encode()
for name, encoded in given["messages"]:
    cv, results, reason = dkim.arc_verify(base64.b64decode(encoded), dnsfunc=txt)
    print(json.dumps([name, "ended" if cv is None else cv.decode(), len(results), reason]))
`;

/** What dkimpy says of chains: name, status, number of sets. */
async function dkimpyChains(messages: readonly (readonly [string, Uint8Array])[]): Promise<unknown[]> {
  const given = {
    keys: KEYS,
    messages: messages.map(([name, message]) => [name, Buffer.from(message).toString("base64")]),
  };
  const output = await run(PYTHON, ["-c", ARC_VERIFY], JSON.stringify(given));
  return output.trim().split("\n").map((line) => JSON.parse(line).slice(0, 3));
}

async function mailauthChain(message: Uint8Array): Promise<unknown[]> {
  const { arc } = await authenticate(Buffer.from(message), {
    ip: "192.0.2.1",
    helo: "client.example.org",
    sender: "ana@example.org",
    mta: "mx.example.net",
    resolver,
  });
  return [arc && arc.status.result, arc && arc.i];
}

Deno.test("dkimpy and mailauth accept chains of one and of three sets on every message", async () => {
  const chains: [string, Uint8Array, number][] = [];
  for (const [name, message] of ALL) {
    const once = await seal(message);
    chains.push([`${name}, one`, once, 1], [`${name}, three`, await seal(await seal(once)), 3]);
  }
  assert.deepEqual(
    await dkimpyChains(chains.map(([name, message]) => [name, message])),
    chains.map(([name, , count]) => [name, "pass", count]),
  );
  for (const [name, message, count] of chains) assert.deepEqual(await mailauthChain(message), ["pass", count], name);
});

const ARC_SIGN = `
import base64, dkim, json, sys
given = json.load(sys.stdin)
message = base64.b64decode(given["message"])
message = b"Authentication-Results: mx.example.net; arc=pass\\r\\n" + message
fields = dkim.arc_sign(message, b"r1", b"example.org", given["key"].encode(), b"mx.example.net")
sys.stdout.write(base64.b64encode(b"".join(fields) + message).decode())
`;

Deno.test("a chain goes on across godwit, dkimpy and mailauth", async () => {
  let message = await seal(ALL[0]![1]);
  const given = { keys: KEYS, key: rsa.pem, message: Buffer.from(message).toString("base64") };
  message = Buffer.from(await run(PYTHON, ["-c", ARC_SIGN], JSON.stringify(given)), "base64");
  message = await seal(message);
  const headers = await sealMessage(Buffer.from(message), {
    signingDomain: "example.org",
    selector: "r1",
    privateKey: rsa.pem,
    authResults: "mx.example.com; arc=pass",
    cv: "pass",
  });
  message = await seal(Buffer.concat([headers, message]));
  assert.deepEqual(await dkimpyChains([["mixed", message]]), [["mixed", "pass", 5]]);
  assert.deepEqual(await mailauthChain(message), ["pass", 5]);
});

Deno.test("a chain that was broken is sealed as failed, once", async () => {
  const once = await seal(ALL[0]![1]);
  const broken = Buffer.from(once.map((octet, index) => index === once.length - 4 ? octet ^ 1 : octet));
  const failed = await seal(broken);
  assert.match(Buffer.from(failed).toString("latin1"), /^ARC-Seal: i=2; [^]*?; cv=fail;/);
  assert.deepEqual((await dkimpyChains([["failed", failed]]))[0], ["failed", "ended", 2]);
  await assert.rejects(seal(failed), "nothing is added to a chain that says it failed");
});
