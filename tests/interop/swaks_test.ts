import assert from "node:assert/strict";
import { run, tryRun, withServer } from "./server.ts";

const login = (mechanism: string, password = "secret-ana") => [
  ...["--auth", mechanism, "--auth-user", "ana", "--auth-password", password],
  ...["--from", "ana@example.net"],
];

Deno.test("swaks delivers to a local account without TLS", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const to = ["--from", "carol@example.org", "--to", "bob@example.net"];
    await run("swaks", ["--server", `127.0.0.1:${ports.mx}`, ...to, "--header", "Subject: hello from swaks"]);
    const [text] = await mail("bob");
    assert.match(text!, /^Return-Path: <carol@example\.org>/m);
    assert.match(text!, /^Subject: hello from swaks$/m);
    assert.match(text!, /This is a test mailing/);
  });
});

Deno.test("swaks delivers over STARTTLS, and the Received field names TLS", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const to = ["--from", "carol@example.org", "--to", "bob@example.net"];
    const output = await run("swaks", ["--server", `127.0.0.1:${ports.mx}`, "--tls", ...to]);
    assert.match(output, /TLS started with cipher TLSv1\.3/);
    const [text] = await mail("bob");
    assert.match(text!, /^Received: from [^]*?with ESMTPS/m);
  });
});

for (const mechanism of ["PLAIN", "LOGIN"]) {
  Deno.test(`swaks logs in with ${mechanism} over STARTTLS`, async () => {
    await withServer({}, async ({ ports, mail }) => {
      const server = ["--server", `127.0.0.1:${ports.submission}`, "--tls"];
      const output = await run("swaks", [...server, ...login(mechanism), "--to", "bob@example.net"]);
      assert.match(output, /^<~\s+235 /m);
      const [text] = await mail("bob");
      assert.match(text!, /^Received: from [^]*?with ESMTPSA/m);
    });
  });

  Deno.test(`swaks logs in with ${mechanism} over implicit TLS`, async () => {
    await withServer({}, async ({ ports, mail }) => {
      const server = ["--server", `127.0.0.1:${ports.submissions}`, "--tls-on-connect"];
      await run("swaks", [...server, ...login(mechanism), "--to", "bob@example.net"]);
      assert.equal((await mail("bob")).length, 1);
    });
  });
}

Deno.test("a wrong password is refused with 535", async () => {
  await withServer({}, async ({ ports }) => {
    const server = ["--server", `127.0.0.1:${ports.submission}`, "--tls"];
    const { code, output } = await tryRun("swaks", [...server, ...login("PLAIN", "wrong"), "--to", "bob@example.net"]);
    assert.notEqual(code, 0);
    assert.match(output, /535 5\.7\.8/);
  });
});

Deno.test("AUTH is not offered and not taken without TLS", async () => {
  await withServer({}, async ({ ports }) => {
    const server = ["--server", `127.0.0.1:${ports.submission}`];
    const { code, output } = await tryRun("swaks", [...server, ...login("PLAIN"), "--to", "bob@example.net"]);
    assert.notEqual(code, 0);
    assert.doesNotMatch(output, /250.AUTH/);
    assert.match(output, /Host did not advertise authentication/);
  });
});

Deno.test("relaying without a login is refused", async () => {
  await withServer({}, async ({ ports }) => {
    const to = ["--from", "carol@example.org", "--to", "dave@elsewhere.example"];
    const { code, output } = await tryRun("swaks", ["--server", `127.0.0.1:${ports.mx}`, ...to]);
    assert.notEqual(code, 0);
    assert.match(output, /^<\*\*\s+550 5\.7\.1/m);
  });
});

Deno.test("an unknown recipient is refused with 550 5.1.1", async () => {
  await withServer({}, async ({ ports }) => {
    const to = ["--from", "carol@example.org", "--to", "nobody@example.net"];
    const { output } = await tryRun("swaks", ["--server", `127.0.0.1:${ports.mx}`, ...to]);
    assert.match(output, /^<\*\*\s+550 5\.1\.1/m);
  });
});

Deno.test("swaks pipelines its commands", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const to = ["--from", "carol@example.org", "--to", "bob@example.net,ana@example.net"];
    await run("swaks", ["--server", `127.0.0.1:${ports.mx}`, "--pipeline", ...to]);
    assert.equal((await mail("bob")).length + (await mail("ana")).length, 2);
  });
});

Deno.test("swaks delivers over LMTP, with one reply for each recipient", async () => {
  await withServer({}, async ({ ports, mail }) => {
    const to = ["--from", "carol@example.org", "--to", "bob@example.net,ana@example.net"];
    const output = await run("swaks", ["--protocol", "LMTP", "--server", `127.0.0.1:${ports.lmtp}`, ...to]);
    assert.match(output, /^<-\s+220 mx\.example\.net /m);
    assert.equal((await mail("bob")).length + (await mail("ana")).length, 2);
  });
});

Deno.test("an attachment of 3 MB arrives octet for octet", async () => {
  await withServer({}, async ({ ports, folder, mail }) => {
    const bytes = new Uint8Array(3_000_000).map((_, index) => (index * 31) % 251);
    await Deno.writeFile(`${folder}/attachment`, bytes);
    const to = ["--from", "carol@example.org", "--to", "bob@example.net"];
    await run("swaks", ["--server", `127.0.0.1:${ports.mx}`, ...to, "--attach", `@${folder}/attachment`]);
    const [text] = await mail("bob");
    const base64 = /^Content-Transfer-Encoding: BASE64\r?\n(?:\S.*\r?\n)*\r?\n([A-Za-z0-9+/=\r\n]+)/m.exec(text!)![1]!;
    const decoded = Uint8Array.from(atob(base64.replace(/\s/g, "")), (char) => char.charCodeAt(0));
    assert.equal(decoded.length, bytes.length);
    assert.ok(decoded.every((octet, index) => octet === bytes[index]));
  });
});
