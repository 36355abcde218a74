/** godwit from this source tree, relaying everything to the next hop. */

import { fromSource, startGodwit } from "../godwit_process.ts";
import { greeted, type MailServer, pause } from "./server.ts";

/** godwit started by `command`, such as a built file; without one, from this source tree. */
export function godwit(command: readonly string[] = fromSource): MailServer {
  return {
    name: "godwit",

    missing: () => Promise.resolve(undefined),

    async start({ folder, port, nextHop, httpPort }) {
      const config = `${folder}/config.toml`;
      await Deno.writeTextFile(config, configuration(port, nextHop, httpPort));
      const child = startGodwit({ config, command, cwd: folder });
      try {
        await greeted(port, child.status);
      } catch (error) {
        child.kill("SIGKILL");
        throw new Error(`godwit did not start: ${child.output()}`, { cause: error });
      }
      return {
        pid: child.pid,
        async stop() {
          child.kill("SIGTERM");
          if (await Promise.race([child.status, pause(15_000)]) === undefined) child.kill("SIGKILL");
          await child.status;
        },
      };
    },
  };
}

/** A configuration that does what the other servers do: no message authentication, no TLS on loopback, few logs. */
export function configuration(port: number, nextHop: number, httpPort: number): string {
  return `[server]
hostname = "godwit.bench.example"
tls.enable = false
[server.listener.bench]
bind = "127.0.0.1:${port}"
protocol = "smtp"
[server.listener.status]
bind = "127.0.0.1:${httpPort}"
protocol = "http"

[store.data]
type = "libsql"
url = "file:godwit.db"
[storage]
data = "data"

[session]
duration = "1d"
transfer-limit = 1_000_000_000_000
[session.ehlo]
reject-non-fqdn = false
[session.auth]
require = false
[session.rcpt]
relay = true
[session.data.limits]
messages = 1_000_000_000
[auth]
iprev.verify = "disable"
spf.verify.ehlo = "disable"
spf.verify.mail-from = "disable"
dkim.verify = "disable"
arc.verify = "disable"
dmarc.verify = "disable"

[queue.strategy]
route = "'sink'"
tls = "'plain'"
[queue.route.sink]
type = "relay"
address = "127.0.0.1"
port = ${nextHop}
tls.implicit = false
[queue.tls.plain]
starttls = "disable"
dane = "disable"
mta-sts = "disable"

[tracer.console]
type = "console"
level = "warn"
`;
}
