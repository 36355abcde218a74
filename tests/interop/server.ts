/** A godwit of its own process for one test: ports, certificate, accounts, a Maildir for each; and what it delivered. */

import { freePort, greeted, pause } from "../../scripts/bench/server.ts";
import { startGodwit } from "../../scripts/godwit_process.ts";
import { composeMessage, openDialogue } from "../../scripts/mail/dialogue.ts";

/** Ports of the listeners, all on 127.0.0.1. */
export interface Ports {
  /** Takes mail for local domains from anybody; STARTTLS. */
  readonly mx: number;
  /** Submission: STARTTLS, then AUTH. */
  readonly submission: number;
  /** Submission with TLS from the first byte. */
  readonly submissions: number;
  readonly lmtp: number;
  readonly http: number;
}

/** A running server. Its accounts are ana and bob at example.net, with the passwords `secret-ana` and `secret-bob`. */
export interface TestServer {
  readonly ports: Ports;
  readonly folder: string;
  /** Path of the certificate, made for `localhost` and signed by itself. */
  readonly certificate: string;
  /** Waits until an account's Maildir holds so many messages; gives their texts. */
  mail(account: string, count?: number): Promise<string[]>;
  /** What the server printed. */
  output(): string;
  /** Sends SIGHUP, by which configuration and certificates are read again. */
  reload(): void;
}

/** What a test changes. */
export interface ServerSettings {
  /** TOML added to the configuration. */
  readonly toml?: string;
  /** URL of the database; a file by default. */
  readonly storeUrl?: string;
  /** Environment of the server, beside that of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** Port of the relay that mail for other domains goes to; without one there is none. */
  readonly relayPort?: number;
  readonly relayProtocol?: "smtp" | "lmtp";
  /** Whether anybody may send to other domains. */
  readonly openRelay?: boolean;
  /** Names in quotes of the mechanisms that are offered where there is TLS; `plain` and `login` by default. */
  readonly mechanisms?: string;
  /** Id of the directory of sessions; `people` by default, the one described above. */
  readonly directory?: string;
  /** Id of the directory that checks logins, if it is another one. */
  readonly logins?: string;
}

const MAIL_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;

/** Runs `body` with a server; its output is shown if the body fails. */
export async function withServer(
  settings: ServerSettings,
  body: (server: TestServer) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-interop-" });
  const certificate = `${folder}/certificate.pem`;
  await run("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", `${folder}/key.pem`, "-out", certificate],
  ]);
  const ports = { mx: freePort(), submission: freePort(), submissions: freePort(), lmtp: freePort(), http: freePort() };
  const config = `${folder}/config.toml`;
  await Deno.writeTextFile(config, configuration(ports, settings));
  const child = startGodwit({ config, cwd: folder, ...settings.env && { env: settings.env } });
  try {
    await greeted(ports.mx, child.status);
    await body({
      ports,
      folder,
      certificate,
      mail: (account, count = 1) => waitForMail(`${folder}/mail/${account}`, count),
      output: child.output,
      reload: () => child.kill("SIGHUP"),
    });
  } catch (error) {
    console.error(`the server printed:\n${child.output()}`);
    throw error;
  } finally {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await child.status;
    clearTimeout(timer);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Hands a message to the server, from a local account unless `from` says otherwise. */
export async function submit(
  { ports }: TestServer,
  to: string,
  options: { readonly from?: string; readonly headers?: Readonly<Record<string, string>>; readonly size?: number } = {},
): Promise<void> {
  const { from = "ana@example.net", headers = {}, size = 2000 } = options;
  const dialogue = await openDialogue(ports.mx);
  try {
    for (const line of ["EHLO client.example", `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, "DATA"]) {
      const reply = await dialogue.command(line);
      if (reply.code >= 400) throw new Error(`${line}: ${reply.text}`);
    }
    const reply = await dialogue.send(composeMessage(size, headers));
    if (reply.code !== 250) throw new Error(`the message was refused: ${reply.text}`);
  } finally {
    dialogue.close();
  }
}

/** A recipient that waits, as `GET /api/queue/messages` tells. */
export interface Waiting {
  readonly address: string;
  readonly state: string;
  readonly attempts: number;
  readonly lastError: string;
  readonly lastStatus: number;
}

/** Recipients in the queue. */
export async function queued({ ports }: TestServer): Promise<Waiting[]> {
  const response = await fetch(`http://127.0.0.1:${ports.http}/api/queue/messages`);
  const { messages } = await response.json() as { readonly messages: readonly { recipients: readonly Waiting[] }[] };
  return messages.flatMap(({ recipients }) => recipients);
}

/** What a program printed, and its exit status. */
export interface ProgramResult {
  readonly code: number;
  readonly output: string;
}

/** Runs a program to its end, feeding it `input`. Standard output and error come together. */
export async function tryRun(program: string, args: readonly string[], input = ""): Promise<ProgramResult> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that ends early does not read all of it.
  writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/**
 * Runs a program that has to succeed; gives what it printed.
 *
 * @throws {Error} if it fails, with what it printed
 */
export async function run(program: string, args: readonly string[], input = ""): Promise<string> {
  const { code, output } = await tryRun(program, args, input);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${output}`);
  return output;
}

/** Waits until `condition` gives something; for the world outside, which has no clock to move. */
export async function eventually<Found>(
  what: string,
  condition: () => Promise<Found | undefined> | Found | undefined,
): Promise<Found> {
  const deadline = performance.now() + MAIL_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const found = await condition();
    if (found !== undefined) return found;
    await pause(50);
  }
  throw new Error(`${what}: not within ${MAIL_TIMEOUT_MS / 1000} s`);
}

/** Waits until a Maildir holds exactly so many messages. More than that is an error. */
export async function waitForMail(maildir: string, count: number): Promise<string[]> {
  return await eventually(`${count} messages in ${maildir}`, async () => {
    const texts: string[] = [];
    for (const folder of ["new", "cur"]) {
      try {
        for await (const entry of Deno.readDir(`${maildir}/${folder}`)) {
          texts.push(await Deno.readTextFile(`${maildir}/${folder}/${entry.name}`));
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    if (texts.length > count) throw new Error(`${maildir} holds ${texts.length} messages instead of ${count}`);
    return texts.length === count ? texts : undefined;
  });
}

function configuration(ports: Ports, settings: ServerSettings): string {
  const { toml = "", relayPort = 1, relayProtocol = "smtp", openRelay = false, storeUrl = "file:godwit.db" } = settings;
  const { mechanisms = "'plain', 'login'", directory = "people", logins = directory } = settings;
  return `[server]
hostname = "mx.example.net"
[server.listener.mx]
bind = "127.0.0.1:${ports.mx}"
protocol = "smtp"
[server.listener.submission]
bind = "127.0.0.1:${ports.submission}"
protocol = "smtp"
[server.listener.submissions]
bind = "127.0.0.1:${ports.submissions}"
protocol = "smtp"
tls.implicit = true
[server.listener.lmtp]
bind = "127.0.0.1:${ports.lmtp}"
protocol = "lmtp"
[server.listener.status]
bind = "127.0.0.1:${ports.http}"
protocol = "http"

[certificate.main]
cert = "%{file:certificate.pem}%"
private-key = "%{file:key.pem}%"

[store.data]
type = "libsql"
url = "${storeUrl}"
[storage]
data = "data"
directory = "${directory}"
[directory.people]
type = "memory"
[[directory.people.principals]]
name = "ana"
secret = "secret-ana"
email = ["ana@example.net"]
[[directory.people.principals]]
name = "bob"
secret = "secret-bob"
email = ["bob@example.net"]

[session.auth]
directory = "'${logins}'"
require = "listener == 'submission' || listener == 'submissions'"
mechanisms = [ { if = "is_tls && listener != 'mx'", then = "[${mechanisms}]" }, { else = false } ]
errors.wait = "10ms"
[session.rcpt]
relay = ${openRelay}
errors.wait = "10ms"
[session.data.limits]
messages = 1000

[queue.strategy]
route = [ { if = "is_local_domain('', rcpt_domain)", then = "'local'" }, { else = "'peer'" } ]
tls = "'unverified'"
[queue.route.local]
type = "local"
path = "mail/{account}"
[queue.route.peer]
type = "relay"
address = "127.0.0.1"
port = ${relayPort}
protocol = "${relayProtocol}"
tls = { implicit = false, allow-invalid-certs = true }
[queue.tls.unverified]
allow-invalid-certs = true
dane = "disable"
mta-sts = "disable"
${toml}`;
}
