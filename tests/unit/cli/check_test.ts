import assert from "node:assert/strict";
import { check } from "../../../src/cli/check.ts";
import { makeCertificate } from "../../support/certificates.ts";

const DAY = 86_400_000;

/** What `godwit check` prints of a configuration with this certificate. */
async function checked(notAfter: Date): Promise<{ code: number; lines: string[] }> {
  const { cert, privateKey } = await makeCertificate({
    names: ["mx.example.org"],
    notBefore: new Date(Date.now() - 100 * DAY),
    notAfter,
  });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/cert.pem`, cert);
    await Deno.writeTextFile(`${folder}/key.pem`, privateKey, { mode: 0o600 });
    await Deno.writeTextFile(
      `${folder}/config.toml`,
      `server.hostname = "mx.example.org"
store.data = { type = "libsql", url = "file:godwit.db" }
storage.data = "data"
server.listener.smtp = { bind = "127.0.0.1:25", protocol = "smtp" }
[certificate.main]
cert = "cert.pem"
private-key = "key.pem"
`,
    );
    const lines: string[] = [];
    const print = (line: string) => void lines.push(line);
    const output = { print, error: print, write: () => Promise.resolve(), colours: false };
    return { code: await check({ config: `${folder}/config.toml` }, output), lines };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("check warns of certificates that expire soon, and finds the configuration valid all the same", async () => {
  const soon = await checked(new Date(Date.now() + 5.5 * DAY));
  const warning = soon.lines.find((line) => line.startsWith("certificate."));
  const date = new Date(Date.now() + 5.5 * DAY).toISOString().slice(0, 10);
  assert.equal(warning, `certificate.main.cert: warning: line 6: the certificate expires on ${date}, in 5 days`);
  assert.equal(soon.code, 0);

  const late = await checked(new Date(Date.now() - DAY));
  assert.match(late.lines.join("\n"), /certificate\.main\.cert: warning: line 6: the certificate expired on /);
  assert.equal(late.code, 0);

  const fine = await checked(new Date(Date.now() + 60 * DAY));
  assert.equal(fine.lines.some((line) => line.startsWith("certificate.")), false, fine.lines.join("\n"));
});
