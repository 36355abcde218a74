/** A private Postfix instance with its own configuration and queue, set up for throughput. */

import { endProcess, findProgram, greetedBy, type MailServer, pause, runs } from "./server.ts";

const SERVICES: readonly (readonly string[])[] = [
  ["pickup", "unix", "n", "60", "1", "pickup"],
  ["cleanup", "unix", "n", "-", "0", "cleanup"],
  ["qmgr", "unix", "n", "300", "1", "qmgr"],
  ["rewrite", "unix", "-", "-", "-", "trivial-rewrite"],
  ["bounce", "unix", "-", "-", "0", "bounce"],
  ["defer", "unix", "-", "-", "0", "bounce"],
  ["trace", "unix", "-", "-", "0", "bounce"],
  ["verify", "unix", "-", "-", "1", "verify"],
  ["flush", "unix", "n", "1000?", "0", "flush"],
  ["proxymap", "unix", "-", "-", "-", "proxymap"],
  ["smtp", "unix", "-", "-", "-", "smtp"],
  ["relay", "unix", "-", "-", "-", "smtp"],
  ["error", "unix", "-", "-", "-", "error"],
  ["retry", "unix", "-", "-", "-", "error"],
  ["discard", "unix", "-", "-", "-", "discard"],
  ["anvil", "unix", "-", "-", "1", "anvil"],
  ["scache", "unix", "-", "-", "1", "scache"],
];

export const postfix: MailServer = {
  name: "Postfix",

  async missing() {
    if (Deno.uid() !== 0) return "Postfix can be started by root only";
    return await findProgram("postfix") === undefined ? "Postfix is not installed" : undefined;
  },

  async start({ folder, port, nextHop, deferAll }) {
    const program = await findProgram("postfix");
    if (program === undefined) throw new Error("Postfix is not installed");
    const config = `${folder}/config`;
    for (const name of ["config", "queue", "data"]) await Deno.mkdir(`${folder}/${name}`);
    // Its daemons run as another user and must get through to the queue.
    await Deno.chmod(folder, 0o755);
    await new Deno.Command("chown", { args: ["postfix", `${folder}/data`] }).output();
    await Deno.writeTextFile(`${config}/main.cf`, mainCf(folder, nextHop, deferAll));
    await Deno.writeTextFile(`${config}/master.cf`, masterCf(port));
    const child = new Deno.Command(program, {
      args: ["-c", config, "start-fg"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await greetedBy(child, port);
    return {
      pid: child.pid,
      async stop() {
        await runs(program, ["-c", config, "stop"]);
        await endProcess(child);
        // Daemons notice the end of their master a moment later.
        await pause(200);
      },
    };
  },
};

function mainCf(folder: string, nextHop: number, deferAll: boolean): string {
  return `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
myhostname = postfix.bench.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:${nextHop}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtpd_tls_security_level = none
smtp_tls_security_level = none
# For throughput: as many processes as there are connections, no brake on input while output lags behind, room for the
# whole queue in memory, many connections to the one next hop, and those kept open.
default_process_limit = 200
in_flow_delay = 0
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
initial_destination_concurrency = 20
default_destination_concurrency_limit = 50
smtp_connection_cache_destinations = [127.0.0.1]:${nextHop}
defer_transports = ${deferAll ? "smtp" : ""}
`;
}

function masterCf(port: number): string {
  const services = [[`127.0.0.1:${port}`, "inet", "n", "-", "-", "smtpd"], ...SERVICES];
  return services.map(([name, type, isPrivate, wakeup, limit, command]) =>
    // name type private unprivileged chroot wakeup limit command
    [name, type, isPrivate, "-", "n", wakeup, limit, command].join(" ")
  ).join("\n") + "\n";
}
