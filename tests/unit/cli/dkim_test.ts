import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { run } from "../../../src/cli/mod.ts";

/** Runs a command. */
async function godwit(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const status = await run(args, {
    print: (line) => out.push(line),
    error: (line) => err.push(line),
    write: () => Promise.resolve(),
    colours: false,
  });
  return { status, out, err };
}

/** A folder that is removed at the end. */
async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "godwit-dkim-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Name and text of the TXT record in a piece of a zone file. */
function txt(lines: readonly string[]): { name: string; text: string; strings: readonly string[] } {
  const line = lines.find((one) => one.includes(" IN TXT ")) ?? "";
  const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? "");
  return { name: line.split(" ")[0] ?? "", text: strings.join(""), strings };
}

Deno.test("keygen writes an RSA key that only its owner can read, and prints its record in short strings", async () => {
  await using dir = await folder();
  const file = `${dir.path}/key.pem`;
  const { status, out, err } = await godwit(
    ...["dkim", "keygen", "--domain", "Example.NET", "--selector", "mail2026", "--out", file],
  );
  assert.deepEqual([status, err], [0, []]);
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  const key = createPrivateKey(await Deno.readTextFile(file));
  assert.equal(key.asymmetricKeyDetails?.modulusLength, 2048);
  const { name, text, strings } = txt(out);
  assert.equal(name, "mail2026._domainkey.example.net.");
  // RFC 6376 §3.6.1: the key is the SubjectPublicKeyInfo in Base64.
  assert.equal(
    text,
    `v=DKIM1; k=rsa; p=${createPublicKey(key).export({ type: "spki", format: "der" }).toString("base64")}`,
  );
  assert.equal(strings.length, 2);
  for (const one of strings) assert.ok(one.length <= 255);
  // The rest of the output is comment, so that all of it can go into a zone file.
  for (const line of out) assert.match(line, / IN TXT |^; /);
  assert.ok(!out.join("\n").includes("PRIVATE"));
});

Deno.test("keygen makes Ed25519 keys; the record holds the bare 32 octets", async () => {
  await using dir = await folder();
  const file = `${dir.path}/key.pem`;
  const { status, out } = await godwit(
    ...["dkim", "keygen", "--domain", "bücher.example", "--selector", "e.1", "--algorithm", "ed25519", "--out", file],
    "--json",
  );
  assert.equal(status, 0);
  const [record] = JSON.parse(out.join("\n"));
  assert.equal(record.name, "e.1._domainkey.xn--bcher-kva.example");
  assert.deepEqual(record.strings, [record.value]);
  const [, published = ""] = /^v=DKIM1; k=ed25519; p=(\S+)$/.exec(record.value) ?? [];
  assert.equal(atob(published).length, 32);
  const x = published.replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const data = createHash("sha256").update("x").digest();
  assert.ok(verify(null, data, publicKey, sign(null, data, createPrivateKey(await Deno.readTextFile(file)))));
});

Deno.test("keygen never overwrites a file", async () => {
  await using dir = await folder();
  const file = `${dir.path}/key.pem`;
  await Deno.writeTextFile(file, "precious");
  const { status, out, err } = await godwit(
    ...["dkim", "keygen", "--domain", "example.net", "--selector", "s", "--out", file],
  );
  assert.deepEqual([status, out], [1, []]);
  assert.match(err.join("\n"), /key\.pem exists; a key is never overwritten/);
  assert.equal(await Deno.readTextFile(file), "precious");
});

Deno.test("keygen says what is wrong with an option, and makes nothing", async () => {
  await using dir = await folder();
  const file = `${dir.path}/key.pem`;
  for (
    const [args, wanted] of [
      [["--domain", "exa mple", "--selector", "s"], /--domain exa mple: expected a domain/],
      [["--domain", "[192.0.2.1]", "--selector", "s"], /expected a domain/],
      [["--domain", "example.net", "--selector", "a b"], /--selector a b: expected letters/],
      [
        ["--domain", "example.net", "--selector", "s", "--algorithm", "dsa"],
        /--algorithm dsa: expected rsa or ed25519/,
      ],
      [["--domain", "example.net", "--selector", "s", "--bits", "512"], /--bits 512: expected a number from 1024/],
      [["--domain", "example.net", "--selector", "s", "--bits", "many"], /--bits many: expected a number/],
      [["--domain", "example.net"], /required option '--selector <selector>'/],
    ] as const
  ) {
    const { status, err } = await godwit("dkim", "keygen", ...args, "--out", file);
    assert.equal(status, 2);
    assert.match(err.join("\n"), wanted);
  }
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  const { status, err } = await godwit(
    ...["dkim", "keygen", "--domain", "example.net", "--selector", "s", "--out", `${dir.path}/none/key.pem`],
  );
  assert.equal(status, 1);
  assert.match(err.join("\n"), /^cannot write .*none\/key\.pem: /);
});
