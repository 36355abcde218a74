import assert from "node:assert/strict";
import { run, withServer } from "./server.ts";

const MESSAGE = "From: ana@example.net\r\nTo: bob@example.net\r\nSubject: from curl\r\n\r\n.leading dot\r\nend\r\n";

const envelope = ["--mail-from", "ana@example.net", "--mail-rcpt", "bob@example.net", "--upload-file", "-"];

Deno.test("curl sends a message, and a leading dot survives", async () => {
  await withServer({}, async ({ ports, mail }) => {
    await run("curl", ["--silent", "--show-error", `smtp://127.0.0.1:${ports.mx}`, ...envelope], MESSAGE);
    const [text] = await mail("bob");
    assert.match(text!, /\r?\n\r?\n\.leading dot\r?\nend\r?\n$/);
  });
});

Deno.test("curl logs in over STARTTLS, certificate verified", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    const tls = ["--ssl-reqd", "--cacert", certificate, "--user", "ana:secret-ana"];
    await run(
      "curl",
      ["--silent", "--show-error", `smtp://localhost:${ports.submission}`, ...tls, ...envelope],
      MESSAGE,
    );
    assert.equal((await mail("bob")).length, 1);
  });
});

Deno.test("curl logs in over implicit TLS, certificate verified", async () => {
  await withServer({}, async ({ ports, certificate, mail }) => {
    const tls = ["--cacert", certificate, "--user", "ana:secret-ana"];
    const url = `smtps://localhost:${ports.submissions}`;
    await run("curl", ["--silent", "--show-error", url, ...tls, ...envelope], MESSAGE);
    assert.equal((await mail("bob")).length, 1);
  });
});
