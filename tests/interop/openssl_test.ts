import assert from "node:assert/strict";
import { tryRun, withServer } from "./server.ts";

const QUIT = "QUIT\r\n";

Deno.test("openssl verifies the certificate after STARTTLS and talks on", async () => {
  await withServer({}, async ({ ports, certificate }) => {
    const { output } = await tryRun("openssl", [
      ...["s_client", "-starttls", "smtp", "-connect", `127.0.0.1:${ports.mx}`, "-servername", "localhost"],
      ...["-CAfile", certificate, "-verify_return_error", "-verify_hostname", "localhost", "-quiet", "-crlf"],
    ], "EHLO client.example\nQUIT\n");
    assert.match(output, /^250-mx\.example\.net/m);
    // RFC 3207 §4.2: STARTTLS is not offered again.
    const afterHandshake = output.slice(output.indexOf("250-mx.example.net"));
    assert.doesNotMatch(afterHandshake, /STARTTLS/);
  });
});

for (const [flag, version] of [["-tls1_2", "TLSv1.2"], ["-tls1_3", "TLSv1.3"]] as const) {
  Deno.test(`openssl speaks ${version} on the implicit TLS port`, async () => {
    await withServer({}, async ({ ports, certificate }) => {
      const { output } = await tryRun("openssl", [
        ...["s_client", flag, "-connect", `127.0.0.1:${ports.submissions}`, "-CAfile", certificate],
        ...["-verify_return_error", "-crlf"],
      ], QUIT);
      assert.match(output, new RegExp(`New, ${version.replace(".", "\\.")}, Cipher is `));
      assert.match(output, /Verify return code: 0 \(ok\)/);
    });
  });
}

Deno.test("TLS 1.1 is refused", async () => {
  await withServer({}, async ({ ports }) => {
    const { code, output } = await tryRun("openssl", [
      ...["s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", `127.0.0.1:${ports.submissions}`],
    ], QUIT);
    assert.notEqual(code, 0);
    assert.match(output, /New, \(NONE\), Cipher is \(NONE\)/);
  });
});
