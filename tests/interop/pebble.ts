/** An authority for tests: pebble, with certificates of its own, which asks a name server of the test. */

import { endProcess, freePort } from "../../scripts/bench/server.ts";
import { makeCertificate } from "../support/certificates.ts";
import { eventually } from "./server.ts";

/** A running pebble. */
export interface Pebble {
  readonly directory: string;
  /** PEM file of the root that its own HTTPS is signed by. */
  readonly roots: string;
  /** PEM of the root of what it issues. */
  issuer(): Promise<string>;
}

/** What pebble is started with. */
export interface PebbleSettings {
  /** Ports that it connects to for `http-01` and `tls-alpn-01`. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Port of the name server that it asks, on 127.0.0.1. */
  readonly dnsPort: number;
  /** Keys for external account binding, by their ids; with any of them it is required. */
  readonly bindings?: Readonly<Record<string, string>>;
}

/** Runs pebble while `body` runs. It refuses one nonce in twenty and uses authorizations again, as it does by default. */
export async function withPebble(settings: PebbleSettings, body: (pebble: Pebble) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-pebble-" });
  const root = await makeCertificate({ names: ["root of the test"], authority: true });
  const own = await makeCertificate({ names: ["127.0.0.1"], issuer: root });
  const [port, management] = [freePort(), freePort()];
  const { httpPort, tlsPort, dnsPort, bindings } = settings;
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: `${folder}/cert.pem`,
      privateKey: `${folder}/key.pem`,
      httpPort,
      tlsPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: bindings !== undefined,
      externalAccountMACKeys: bindings ?? {},
    },
  };
  await Deno.writeTextFile(`${folder}/cert.pem`, own.cert);
  await Deno.writeTextFile(`${folder}/key.pem`, own.privateKey);
  await Deno.writeTextFile(`${folder}/roots.pem`, root.cert);
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  const child = new Deno.Command("pebble", {
    args: ["-strict", "-config", `${folder}/config.json`, "-dnsserver", `127.0.0.1:${dnsPort}`],
    // Otherwise it waits up to fifteen seconds before it looks.
    env: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "20" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const client = Deno.createHttpClient({ caCerts: [root.cert] });
  const get = async (url: string) => await (await fetch(url, { client })).text();
  try {
    const directory = `https://127.0.0.1:${port}/dir`;
    await eventually("pebble answers", () => get(directory).catch(() => undefined));
    await body({
      directory,
      roots: `${folder}/roots.pem`,
      issuer: () => get(`https://127.0.0.1:${management}/roots/0`),
    });
  } finally {
    client.close();
    await endProcess(child);
    await Deno.remove(folder, { recursive: true });
  }
}
