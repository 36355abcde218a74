/** A real Exim for tests. Its package cannot be installed beside Postfix, so it is unpacked into a cache folder. */

import { endProcess, findProgram, freePort, greetedBy } from "../../scripts/bench/server.ts";

const PACKAGE = "exim4-daemon-light";
const USER = "Debian-exim";
/** Its processes are not root's, and must get through to the program. */
const FOLDER = "/var/cache/godwit-tests/exim";

/**
 * Path of Exim: the one that is installed, or the Debian package, unpacked.
 *
 * @throws {Error} if it is neither there nor can be had
 */
export async function findExim(): Promise<string> {
  const installed = await findProgram("exim4");
  if (installed !== undefined) return installed;
  const program = `${FOLDER}/usr/sbin/exim4`;
  try {
    await Deno.stat(program);
    return program;
  } catch {
    await Deno.mkdir(FOLDER, { recursive: true });
  }
  await run("apt-get", ["-qq", "download", PACKAGE], FOLDER);
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (name.endsWith(".deb")) await run("dpkg-deb", ["-x", name, FOLDER], FOLDER);
  }
  // It looks its user up before it reads that it is to be another one.
  const { success } = await new Deno.Command("id", { args: [USER], stdout: "null", stderr: "null" }).output();
  if (!success) await run("useradd", ["--system", "--user-group", "--no-create-home", USER], FOLDER);
  return program;
}

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], cwd }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}

/** Runs an Exim that keeps mail for everybody but `gone` in one Maildir. `settings` are lines for the configuration. */
export async function withExim(
  settings: string,
  body: (port: number, maildir: string) => Promise<void>,
): Promise<void> {
  const program = await findExim();
  const folder = await Deno.makeTempDir({ prefix: "godwit-exim-" });
  const port = freePort();
  try {
    for (const name of ["spool", "log", "mail"]) await Deno.mkdir(`${folder}/${name}`);
    await Deno.chmod(folder, 0o755);
    await run("chown", ["nobody:nogroup", "spool", "log", "mail"], folder);
    const config = `${folder}/exim.conf`;
    await Deno.writeTextFile(config, configuration(program, folder, settings));
    const child = new Deno.Command(program, {
      args: ["-C", config, "-bdf", "-oX", `127.0.0.1.${port}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await greetedBy(child, port);
      await body(port, `${folder}/mail`);
    } finally {
      await endProcess(child);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function configuration(program: string, folder: string, settings: string): string {
  return `exim_path = ${program}
exim_user = nobody
exim_group = nogroup
keep_environment =
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/spool/exim.pid
primary_hostname = exim.example
tls_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
smtp_accept_queue_per_connection = 0
prdr_enable = true
acl_smtp_rcpt = rcpt
${settings}
begin acl
rcpt:
  deny
    local_parts = gone
    message = nobody of that name
  accept
begin routers
here:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  maildir_format
  directory = ${folder}/mail
  user = nobody
`;
}
