/** Certificates with ECDSA and RSA keys side by side for one name, with `openssl s_client` as the client. */

import assert from "node:assert/strict";
import { createCertificateStore } from "../../../src/net/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { respond, sClient, startListener, TLS } from "./fixture.ts";

const rsa = certificateConfig(
  "rsa",
  await makeCertificate({ names: ["mx.example.test", "only.rsa.test"], key: "rsa" }),
);
const ec = certificateConfig("ec", await makeCertificate({ names: ["mx.example.test"], key: "ec" }));
const implicit = { ...TLS, implicit: true };

/** Kind of the key that the client was shown, and the kind of handshake. */
async function shown(port: number, ...options: readonly string[]): Promise<string> {
  const { output, success } = await sClient(port, ...options);
  if (!success) return "nothing";
  return /Server public key is 2048 bit/i.test(output) ? "rsa" : "ec";
}

const SNI = ["-servername", "mx.example.test"];
const RSA13 = ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:RSA-PSS+SHA384"];
const EC13 = ["-tls1_3", "-sigalgs", "ECDSA+SHA256"];
const RSA12 = ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"];
const EC12 = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"];
const OLD12 = ["-tls1_2", "-sigalgs", "RSA+SHA256"];
const NONE = ["-tls1_3", "-sigalgs", "ed25519"];

for (const [order, certificates] of [["ECDSA first", [ec, rsa]], ["RSA first", [rsa, ec]]] as const) {
  Deno.test(`each client gets a certificate that it can check (${order})`, async () => {
    const listener = startListener(respond, {
      certificates: createCertificateStore(certificates.map((one, index) => ({ ...one, default: index === 0 }))),
      config: { tls: implicit },
    });
    const cases: readonly [options: readonly string[], expected: string][] = [
      [SNI, "ec"],
      [["-noservername"], "ec"],
      [["-servername", "nobody.test"], "ec"],
      [["-servername", "only.rsa.test"], "rsa"],
      ...[[RSA13, "rsa"], [EC13, "ec"], [RSA12, "rsa"], [EC12, "ec"], [OLD12, "rsa"]].flatMap((
        [options, expected],
      ): [string[], string][] => [
        [[...SNI, ...options as string[]], expected as string],
        [["-noservername", ...options as string[]], expected as string],
      ]),
      [[...SNI, ...NONE], "nothing"],
    ];
    for (const [options, expected] of cases) {
      assert.equal(await shown(listener.port, ...options), expected, options.join(" "));
    }
    assert.equal(await shown(listener.port, ...SNI, "-tls1_2", "-cipher", "ALL"), "ec");
    await listener.idle();
    await listener.close();
  });
}

Deno.test("kinds count after STARTTLS too, beside suites and versions that are switched off", async () => {
  const certificates = createCertificateStore([{ ...rsa, default: true }, ec]);
  const listener = startListener(respond, {
    certificates,
    config: {
      tls: { ...TLS, disableProtocols: ["TLSv1.3"], disableCiphers: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] },
    },
  });
  const starttls = ["-starttls", "smtp", ...SNI];
  assert.equal(await shown(listener.port, ...starttls, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "ec");
  // The one suite for ECDSA that the client offers is switched off.
  const both = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256";
  assert.equal(await shown(listener.port, ...starttls, "-tls1_2", "-cipher", both), "rsa");
  await listener.idle();
  await listener.close();
});

Deno.test("a curve that the client does not check is passed over for RSA", async () => {
  const folder = await Deno.makeTempDir();
  const run = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  await run(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", "key"],
    ...["-out", "cert", "-days", "9", "-subj", "/CN=mx.example.test", "-addext", "subjectAltName=DNS:mx.example.test"],
  );
  const wide = {
    ...ec,
    id: "wide",
    cert: await Deno.readTextFile(`${folder}/cert`),
    privateKey: await Deno.readTextFile(`${folder}/key`),
  };
  await Deno.remove(folder, { recursive: true });
  const listener = startListener(respond, {
    certificates: createCertificateStore([wide, { ...rsa, default: true }]),
    config: { tls: implicit },
  });
  assert.equal(await shown(listener.port, ...SNI), "ec");
  assert.equal(await shown(listener.port, ...SNI, "-tls1_3", "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256"), "rsa");
  await listener.idle();
  await listener.close();
});

Deno.test("of two certificates of one kind for a name the first in the file is shown", () => {
  const store = createCertificateStore([rsa, { ...rsa, id: "second" }, ec, { ...ec, id: "last" }]);
  assert.equal(store.hasKinds, true);
  assert.equal(store.select("mx.example.test", undefined, () => true)?.id, "ec");
  assert.equal(store.select("mx.example.test", undefined, ({ key }) => key === "rsa")?.id, "rsa");
  assert.equal(store.select("mx.example.test")?.id, "rsa");
  // Nobody has to read what clients offer where there is no choice.
  assert.equal(createCertificateStore([rsa, { ...rsa, id: "second" }]).hasKinds, false);
});
