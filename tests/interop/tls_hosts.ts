/** A Postfix with several addresses, each a mail host with a certificate of its own, and what becomes of mail for them. */

import { postfix } from "../../scripts/bench/postfix.ts";
import { startSink } from "../../scripts/mail/sink.ts";
import type { TestCertificate } from "../support/certificates.ts";
import { submit } from "../support/client.ts";
import type { TestServer } from "../support/server.ts";
import { eventually, run } from "./server.ts";

/** A mail host. */
export interface TlsHost {
  /** On loopback. */
  readonly address: string;
  readonly certificate: TestCertificate;
  /** STARTTLS does not reach the client: as if somebody on the way had taken it out. */
  readonly isStripped?: true;
  /** Further settings of `main.cf`, such as `smtpd_tls_loglevel=2`. */
  readonly settings?: readonly string[];
}

/** Runs one Postfix with a listener for each host. `body` gets the path of its log. */
export async function withTlsHosts(
  hosts: readonly TlsHost[],
  { port, nextHop }: { readonly port: number; readonly nextHop: number },
  body: (log: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
  try {
    const running = await postfix.start({ folder, port, nextHop, httpPort: 0, deferAll: false });
    try {
      const config = `${folder}/config`;
      let services = "tlsmgr unix - - n 1000? 1 tlsmgr\n";
      for (const { address, certificate, isStripped, settings = [] } of hosts) {
        const path = `${config}/${address}.pem`;
        await Deno.writeTextFile(path, certificate.privateKey + certificate.cert, { mode: 0o600 });
        const all = [
          `smtpd_tls_chain_files=${path}`,
          "smtpd_tls_security_level=may",
          ...(isStripped === undefined ? [] : ["smtpd_discard_ehlo_keywords=starttls"]),
          ...settings,
        ];
        services += `${address}:${port} inet n - n - - smtpd\n${all.map((one) => `  -o ${one}\n`).join("")}`;
      }
      await Deno.writeTextFile(`${config}/master.cf`, services, { append: true });
      await run("postfix", ["-c", config, "reload"]);
      const last = { hostname: hosts.at(-1)?.address ?? "127.0.0.1", port };
      await eventually("Postfix listens for each host", () =>
        Deno.connect(last).then((connection) => {
          connection.close();
          return true;
        }, () => undefined));
      await body(`${folder}/postfix.log`);
    } finally {
      await running.stop();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A next hop that keeps what it takes. */
export function keepingSink() {
  const arrived: { readonly to: readonly string[]; readonly text: string }[] = [];
  const sink = startSink({
    keepContent: true,
    onMessage({ content, recipients }) {
      arrived.push({ to: recipients, text: new TextDecoder().decode(content) });
      return undefined;
    },
  });
  return {
    port: sink.port,
    /** The messages for an address. */
    for: (address: string) => arrived.filter(({ to }) => to.includes(address)).map(({ text }) => text),
    close: () => sink.close(),
  };
}

/** Sends a message and tells what becomes of it: `delivered`, or the error that keeps it back. */
export async function fateOf(server: TestServer, to: string): Promise<string> {
  await submit(server.address("smtp"), { from: "a@example.net", to: [to], content: "Subject: s\r\n\r\nHello\r\n" });
  const mine = ({ fields }: { fields: Readonly<Record<string, unknown>> }) => JSON.stringify(fields).includes(to);
  return await Promise.race([
    server.event("delivery.delivered", mine).then(() => "delivered"),
    server.event("delivery.deferred", mine).then(async () => {
      for (const { recipients } of await server.server.queue.list({})) {
        for (const { address, lastError } of recipients) if (address === to) return lastError;
      }
      return "lost";
    }),
  ]);
}
