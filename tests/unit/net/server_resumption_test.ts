/** Clients that come back and resume their TLS session, with `openssl s_client` as the client. */

import assert from "node:assert/strict";
import type { ListenerConfig } from "../../../src/config/config.ts";
import { type CertificateStore, createCertificateStore } from "../../../src/net/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { listenerConfig, respond, sClient, startListener, TLS } from "./fixture.ts";

const rsa = await makeCertificate({ names: ["mx.example.test"], key: "rsa" });
const renewed = await makeCertificate({ names: ["mx.example.test"], key: "rsa" });
const other = await makeCertificate({ names: ["other.test"], key: "ec" });
const NAME = ["-servername", "mx.example.test"];

/** Connects, keeps the session, and comes back with it after `between`. @returns what s_client says of the second time */
async function comeBack(
  version: "-tls1_2" | "-tls1_3",
  between: (listener: ReturnType<typeof startListener>, certificates: CertificateStore) => void = () => {},
  { config = {}, name = NAME }: { readonly config?: Partial<ListenerConfig>; readonly name?: readonly string[] } = {},
) {
  const certificates = createCertificateStore([
    certificateConfig("main", rsa, { default: true }),
    certificateConfig("other", other),
  ]);
  const listener = startListener(respond, { certificates, config: { tls: { ...TLS, implicit: true }, ...config } });
  const session = await Deno.makeTempFile();
  try {
    const starttls = config.tls?.implicit === false ? ["-starttls", "smtp"] : [];
    const first = await sClient(listener.port, ...starttls, ...NAME, version, "-sess_out", session);
    assert.ok(first.success, first.output);
    assert.match(first.output, /^New, /m);
    between(listener, certificates);
    const second = await sClient(listener.port, ...starttls, ...name, version, "-sess_in", session);
    const [, kind] = /^(New|Reused), TLS/m.exec(second.output) ?? [];
    return { success: second.success, kind, info: second.info };
  } finally {
    await Deno.remove(session);
    await listener.idle();
    await listener.close();
  }
}

for (const version of ["-tls1_2", "-tls1_3"] as const) {
  Deno.test(`a client of ${version} resumes its session, and all is known of it`, async () => {
    const { success, kind, info } = await comeBack(version);
    assert.ok(success);
    assert.equal(kind, "Reused");
    assert.equal(info?.version, version === "-tls1_2" ? "TLSv1.2" : "TLSv1.3");
    assert.equal(info?.serverName, "mx.example.test");
    assert.equal(info?.cipherBits, 256);
  });

  Deno.test(`a client of ${version} resumes its session after STARTTLS`, async () => {
    assert.equal((await comeBack(version, () => {}, { config: { tls: TLS } })).kind, "Reused");
  });

  Deno.test(`a session of ${version} outlives an exchange of certificates`, async () => {
    const { success, kind } = await comeBack(
      version,
      (_, certificates) => certificates.replace([certificateConfig("renewed", renewed)]),
    );
    assert.ok(success);
    assert.equal(kind, "Reused");
  });

  Deno.test(`a session of ${version} is of no use under another name`, async () => {
    const { kind } = await comeBack(version, () => {}, { name: ["-servername", "other.test"] });
    assert.equal(kind, "New");
  });
}

Deno.test("a session is not resumed with a version that was switched off meanwhile", async () => {
  for (const [version, off] of [["-tls1_2", "TLSv1.2"], ["-tls1_3", "TLSv1.3"]] as const) {
    const { success } = await comeBack(
      version,
      (listener) => listener.update(listenerConfig({ tls: { ...TLS, implicit: true, disableProtocols: [off] } })),
    );
    assert.equal(success, false);
  }
});

Deno.test("a session is not resumed with a suite that was switched off meanwhile", async () => {
  const disableCiphers = ["TLS13_AES_256_GCM_SHA384"];
  const { kind, info } = await comeBack(
    "-tls1_3",
    (listener) => listener.update(listenerConfig({ tls: { ...TLS, implicit: true, disableCiphers } })),
  );
  assert.notEqual(info?.cipher, "TLS_AES_256_GCM_SHA384");
  assert.notEqual(kind, "Reused");
});
