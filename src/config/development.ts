/** The configuration of `deno task dev`. */

/** Ports of the development server; 0 is any free one. */
export interface DevelopmentOptions {
  /** SMTP; 2525 if left out. */
  readonly smtpPort?: number;
  /** Submission; 5587 if left out. */
  readonly submissionPort?: number;
  /** Status page; 8025 if left out. */
  readonly httpPort?: number;
}

/**
 * A configuration that needs no preparation: it takes mail for every address at every domain on the loopback interface
 * and delivers it into Maildirs under `<dataDirectory>/mail`. Submission takes the login `dev` with the password `dev`,
 * without TLS.
 *
 * @returns TOML text
 */
export function developmentConfig(dataDirectory: string, options: DevelopmentOptions = {}): string {
  const { smtpPort = 2525, submissionPort = 5587, httpPort = 8025 } = options;
  const folder = dataDirectory.replace(/\/+$/, "");
  const database = folder.replace(/[%?#]/g, encodeURIComponent);
  return `[server]
hostname = "localhost"
listener.smtp = { bind = "127.0.0.1:${smtpPort}", protocol = "smtp" }
listener.submission = { bind = "127.0.0.1:${submissionPort}", protocol = "smtp" }
listener.http = { bind = "127.0.0.1:${httpPort}", protocol = "http" }
# A second one is told that the port is taken, instead of getting every other connection.
socket.reuse-port = false

[store.data]
type = "libsql"
url = ${tomlText(`file:${database}/godwit.db`)}
[storage]
data = "data"
directory = "dev"

[directory.dev]
type = "memory"
[[directory.dev.principals]]
name = "dev"
secret = "{PLAIN}dev"
email = ["dev@localhost"]

[session.ehlo]
reject-non-fqdn = false
[session.auth]
mechanisms = [{ if = "listener == 'submission'", then = "['plain', 'login']" }, { else = false }]
require = "listener == 'submission'"
must-match-sender = false
allow-plain-text = true
# Nobody vouches for mail that is made on this machine, and there may be no network.
[auth]
iprev.verify = "disable"
spf.verify.ehlo = "disable"
spf.verify.mail-from = "disable"
dkim.verify = "disable"
arc.verify = "disable"
dmarc.verify = "disable"

[session.rcpt]
# No domain counts as local, so that no address is unknown; all of them are relayed, into the route below.
directory = false
relay = true

[queue.strategy]
route = "'local'"
schedule = [
  { if = "source == 'dsn'", then = "'dsn'" },
  { if = "source == 'report'", then = "'report'" },
  { else = "'local'" },
]
[queue.route.local]
type = "local"
path = ${tomlText(`${folder}/mail/{domain}/{local}/Maildir`)}
`;
}

/** A text as a TOML basic string. */
function tomlText(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}
