/** The policy that a server publishes, as the sending side of the same program reads it. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import { createPolicyFetch } from "../../src/outbound/mod.ts";
import { parsePolicy } from "../../src/outbound/mta_sts_record.ts";
import { makeCertificate } from "../support/certificates.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

const root = await makeCertificate({ names: ["test root"], authority: true });
const own = await makeCertificate({ names: ["mta-sts.example.org", "mta-sts.example.com"], issuer: root });

const CONFIGURATION = `server.listener.https = { bind = "127.0.0.1:0", protocol = "http", tls.implicit = true }
certificate.policy = { cert = """${own.cert}""", private-key = """${own.privateKey}""", default = true }
`;

Deno.test("the policy of a local domain is served by HTTPS, and changes with a reload", async () => {
  await using test = await startTestServer(CONFIGURATION);
  const fetch = createPolicyFetch({
    resolver: createZone({
      "mta-sts.example.org": { a: ["127.0.0.1"] },
      "mta-sts.example.com": { a: ["127.0.0.1"] },
    }),
    clock: systemClock,
    port: test.address("https").port,
    ca: [root.cert],
  });
  const get = (domain: string) => fetch(domain, 60_000, new AbortController().signal);
  assert.deepEqual(parsePolicy(await get("example.org")), {
    mode: "testing",
    maxAge: 604_800,
    mx: ["mta-sts.example.org", "mta-sts.example.com", "mx.example.org"],
  });
  // Nobody here takes mail for that domain.
  await assert.rejects(get("example.com"), /answered with status 404/);

  const changed =
    `session.mta-sts = { mode = "enforce", max-age = 1209600, mx = ["mx.example.org"] }\n${CONFIGURATION}`;
  await test.server.reload(testConfiguration(changed, { folder: test.folder, certificate: test.certificate }));
  assert.deepEqual(parsePolicy(await get("example.org")), {
    mode: "enforce",
    maxAge: 1_209_600,
    mx: ["mx.example.org"],
  });
});
