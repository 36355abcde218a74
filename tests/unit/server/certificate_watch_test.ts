import assert from "node:assert/strict";
import type { CertificateConfig } from "../../../src/config/mod.ts";
import { watchCertificates } from "../../../src/server/certificate_watch.ts";
import type { EventFields, EventName } from "../../../src/telemetry/mod.ts";
import { certificateConfig, makeCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const DAY = 86_400_000;
const MINUTE = 60_000;
const notBefore = new Date(Date.UTC(2025, 11, 1));
const ending = (days: number) =>
  makeCertificate({ names: ["mx.example"], notBefore, notAfter: new Date(Date.UTC(2026, 0, 5, 12) + days * DAY) });
const old = await ending(60);
const renewed = await ending(90);
const short = await ending(10);
const expired = await ending(-1);

interface World {
  readonly clock: FakeClock;
  readonly files: Map<string, string>;
  readonly events: { name: EventName; fields: EventFields }[];
  readonly used: (readonly CertificateConfig[])[];
  /** Files that may not be read. */
  readonly barred: Set<string>;
  readonly watch: ReturnType<typeof watchCertificates>;
}

async function watching(
  certificates: readonly CertificateConfig[],
  body: (world: World) => Promise<void>,
  others: readonly CertificateConfig[] = [],
) {
  const clock = new FakeClock();
  const files = new Map<string, string>();
  for (const { cert, privateKey, files: paths } of certificates) {
    if (paths?.cert !== undefined) files.set(paths.cert, cert);
    if (paths?.privateKey !== undefined) files.set(paths.privateKey, privateKey);
  }
  const events: World["events"] = [];
  const used: World["used"] = [];
  const barred: World["barred"] = new Set();
  const watch = watchCertificates(certificates, {
    clock,
    emit: (name, fields = {}) => void events.push({ name, fields }),
    files: {
      state: (path) => Promise.resolve(files.get(path)),
      read(path) {
        const text = files.get(path);
        if (barred.has(path)) return Promise.reject(new Error(`${path}: permission denied`));
        return text === undefined ? Promise.reject(new Error(`${path} is gone`)) : Promise.resolve(text);
      },
    },
    others: () => others,
    use: (next) => void used.push(next),
  });
  try {
    await body({ clock, files, events, used, barred, watch });
  } finally {
    watch.close();
  }
  assert.equal(clock.pending, 0);
}

const inFiles = (id: string, certificate: typeof old) =>
  certificateConfig(id, certificate, { files: { cert: `/${id}.pem`, privateKey: `/${id}.key` } });

Deno.test("a certificate is exchanged within a minute after both its files have changed", async () => {
  await watching([inFiles("main", old), inFiles("other", old)], async ({ clock, files, events, used, watch }) => {
    await clock.advance(5 * MINUTE);
    assert.deepEqual([used, events], [[], []]);
    files.set("/main.pem", renewed.cert);
    await clock.advance(MINUTE);
    // The key is still that of the old one: nothing is used, and it is said once.
    assert.equal(used.length, 0);
    await clock.advance(MINUTE);
    assert.deepEqual(events.map(({ name }) => name), ["tls.certificate-error"]);
    assert.match(String(events[0]?.fields.reason), /does not belong to the certificate/);
    files.set("/main.key", renewed.privateKey);
    await clock.advance(MINUTE);
    assert.equal(used.length, 1);
    assert.deepEqual(used[0]?.map(({ cert }) => cert), [renewed.cert, old.cert]);
    assert.deepEqual(watch.certificates, used[0]);
    assert.deepEqual(events.slice(1), [{
      name: "tls.certificate-loaded",
      fields: { id: "main", expires: new Date(Date.UTC(2026, 0, 5, 12) + 90 * DAY).toISOString() },
    }]);
  });
});

Deno.test("files that are gone or hold nonsense leave the certificate in force", async () => {
  await watching([inFiles("main", old)], async ({ clock, files, events, used, watch }) => {
    await clock.advance(0);
    files.delete("/main.key");
    await clock.advance(MINUTE);
    files.set("/main.key", "nonsense");
    await clock.advance(10 * MINUTE);
    assert.deepEqual(events.map(({ name }) => name), ["tls.certificate-error", "tls.certificate-error"]);
    assert.deepEqual([used, watch.certificates[0]?.cert], [[], old.cert]);
    files.set("/main.key", old.privateKey);
    await clock.advance(MINUTE);
    assert.deepEqual(used, []);
  });
});

Deno.test("a file that may not be read is told once, and read when it may be, without another change", async () => {
  await watching([inFiles("main", old)], async ({ clock, files, events, used, barred }) => {
    await clock.advance(0);
    barred.add("/main.key");
    files.set("/main.pem", renewed.cert);
    files.set("/main.key", renewed.privateKey);
    await clock.advance(10 * MINUTE);
    assert.deepEqual(events.map(({ fields }) => fields.reason), ["/main.key: permission denied"]);
    assert.equal(used.length, 0);
    barred.clear();
    await clock.advance(MINUTE);
    assert.deepEqual(used.map(([one]) => one?.cert), [renewed.cert]);
    assert.deepEqual(events.slice(1).map(({ name }) => name), ["tls.certificate-loaded"]);
  });
});

Deno.test("a certificate without files is left as it is", async () => {
  await watching([certificateConfig("main", old)], async ({ clock, used, events }) => {
    await clock.advance(DAY);
    assert.deepEqual([used, events], [[], []]);
  });
});

Deno.test("who is about to expire, or has expired, is named at the start and once a day", async () => {
  const certificates = [certificateConfig("a", old), certificateConfig("b", short), certificateConfig("c", expired)];
  await watching(certificates, async ({ clock, events }) => {
    const said = () => events.map(({ name, fields }) => `${name} ${fields.id} ${fields.details}`);
    assert.deepEqual(said(), [
      "tls.certificate-expires b the certificate expires on 2026-01-15, in 10 days",
      "tls.certificate-expires c the certificate expired on 2026-01-04; clients that check it do not connect",
    ]);
    await clock.advance(DAY - 1);
    assert.equal(said().length, 2);
    await clock.advance(1);
    assert.match(said()[2] ?? "", /b the certificate expires on 2026-01-15, in 9 days/);
    assert.equal(said().length, 4);
  });
});

Deno.test("a reload is looked at as a start is", async () => {
  await watching([inFiles("main", old)], async ({ clock, files, events, used, watch }) => {
    watch.reconfigure([inFiles("next", expired)]);
    assert.deepEqual(events.map(({ name, fields }) => `${name} ${fields.id}`), ["tls.certificate-expires next"]);
    files.set("/next.pem", renewed.cert);
    files.set("/next.key", renewed.privateKey);
    await clock.advance(MINUTE);
    assert.deepEqual(used.map((all) => all.map(({ id, cert }) => [id, cert === renewed.cert])), [[["next", true]]]);
  });
});

Deno.test("certificates that others look after are warned of, and left alone", async () => {
  await watching([certificateConfig("a", old)], async ({ clock, events, used }) => {
    assert.deepEqual(events.map(({ name, fields }) => `${name} ${fields.id}`), ["tls.certificate-expires ordered"]);
    await clock.advance(5 * MINUTE);
    assert.deepEqual(used, []);
  }, [inFiles("ordered", short)]);
});
