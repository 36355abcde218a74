import assert from "node:assert/strict";
import { startServer } from "../../../src/server/mod.ts";
import type { ObservedEvent } from "../../../src/telemetry/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { testConfiguration } from "../../support/server.ts";
import { temporaryFolder } from "../../support/store.ts";

Deno.test("ports of mail and of HTTP are open before root is given up, and closed when that fails", async () => {
  await using folder = await temporaryFolder();
  const certificate = await makeCertificate({ names: ["mx.example.org"] });
  const config = testConfiguration(
    `server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }
server.listener.secure = { bind = "127.0.0.1:0", protocol = "http", tls = { implicit = true } }
`,
    { folder: folder.path, certificate },
  );
  const events: ObservedEvent[] = [];
  await assert.rejects(
    startServer(config, {
      // Nobody has that name, and whoever is not root cannot become anybody.
      runAs: { user: "godwit-nobody", group: undefined },
      onTelemetry: (telemetry) => telemetry.observe(["network.listen-*"], (event) => events.push(event)),
    }),
    /RUN_AS_USER|godwit-nobody/,
  );
  const listeners = (name: string) =>
    events.filter((event) => event.name === name).map(({ fields }) => fields["listener"]).toSorted();
  assert.deepEqual(listeners("network.listen-start"), ["lmtp", "secure", "smtp", "web"]);
  assert.deepEqual(listeners("network.listen-stop"), ["lmtp", "secure", "smtp", "web"]);
  const address = String(events.find(({ fields }) => fields["address"] !== undefined)?.fields["address"]);
  const { hostname, port } = new URL(`tcp://${address}`);
  await assert.rejects(Deno.connect({ hostname, port: Number(port) }), Deno.errors.ConnectionRefused);
});
