/** SIGHUP: certificates and configuration are read again while sessions go on. */

import assert from "node:assert/strict";
import { composeMessage, dialogueOver, openDialogue } from "../../scripts/mail/dialogue.ts";
import { eventually, run, tryRun, withServer } from "./server.ts";

/** Serial number of the certificate that a new client is shown. */
async function serialShown(port: number): Promise<string> {
  const { output } = await tryRun("openssl", ["s_client", "-connect", `127.0.0.1:${port}`], "QUIT\r\n");
  return (await tryRun("openssl", ["x509", "-noout", "-serial"], output)).output.trim();
}

Deno.test("a renewed certificate is shown from SIGHUP on, and nobody who is connected notices", async () => {
  await withServer({}, async (server) => {
    const { ports, folder, certificate } = server;
    /** Another certificate for the same key; without the right to sign others, which the client below would mind. */
    const renew = async (days: number): Promise<string> => {
      await run("openssl", [
        ...["req", "-x509", "-key", `${folder}/key.pem`, "-days", String(days), "-subj", "/CN=localhost"],
        ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
        ...["-out", certificate],
      ]);
      const serial = (await run("openssl", ["x509", "-noout", "-serial", "-in", certificate])).trim();
      server.reload();
      return await eventually(
        "the new certificate is shown",
        async () => await serialShown(ports.submissions) === serial ? serial : undefined,
      );
    };
    const before = await renew(30);
    // One session in plain text and one in TLS, both in the middle of a transaction.
    const plain = await openDialogue(ports.mx);
    const secure = await dialogueOver(
      await Deno.connectTls({
        hostname: "localhost",
        port: ports.submissions,
        caCerts: [await Deno.readTextFile(certificate)],
      }),
    );
    assert.equal((await plain.command("EHLO client.example")).code, 250);
    assert.equal((await secure.command("EHLO client.example")).code, 250);
    assert.equal((await secure.command(`AUTH PLAIN ${btoa("\0ana\0secret-ana")}`)).code, 235);
    for (const dialogue of [plain, secure]) {
      assert.equal((await dialogue.command("MAIL FROM:<ana@example.net>")).code, 250);
      assert.equal((await dialogue.command("RCPT TO:<bob@example.net>")).code, 250);
    }

    assert.notEqual(await renew(90), before);

    for (const dialogue of [plain, secure]) {
      assert.equal((await dialogue.command("DATA")).code, 354);
      assert.equal((await dialogue.send(composeMessage(1000))).code, 250);
      await dialogue.command("QUIT");
      dialogue.close();
    }
    assert.equal((await server.mail("bob", 2)).length, 2);
    assert.match(server.output(), /server\.reload/);
  });
});

Deno.test("a configuration that cannot be used leaves the one in force", async () => {
  await withServer({}, async (server) => {
    const { ports, folder } = server;
    const before = await serialShown(ports.submissions);
    await Deno.writeTextFile(`${folder}/key.pem`, "nonsense");
    server.reload();
    await eventually("the fault is told", () => /private-key/.test(server.output()) ? true : undefined);
    assert.equal(await serialShown(ports.submissions), before);
  });
});
