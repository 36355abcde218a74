/**
 * `deno task test:interop`: tests against real peers. As root on a Debian-like system it installs what they need first;
 * elsewhere it says what is missing. Further arguments go to `deno test`.
 *
 * @module
 */

import { findProgram } from "./bench/server.ts";

/** Programs the tests use, and the packages that bring them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "swaks": "swaks",
  "zip": "zip",
  "openssl": "openssl",
  "curl": "curl",
  "python3": "python3",
  "postfix": "postfix",
  "smtp-source": "postfix",
  "smtp-sink": "postfix",
  "dovecot": "dovecot-lmtpd",
  "sieve-test": "dovecot-sieve",
  // These have no program in the path.
  "../lib/dovecot/imap": "dovecot-imapd",
  "../lib/dovecot/submission": "dovecot-submissiond",
  "../lib/python3/dist-packages/passlib/hash.py": "python3-passlib",
  "../lib/python3/dist-packages/dkim/__init__.py": "python3-dkim",
  "../lib/python3/dist-packages/authres/__init__.py": "python3-authres",
  "../lib/python3/dist-packages/Milter/__init__.py": "python3-milter",
  "opendkim": "opendkim",
  "../share/publicsuffix/public_suffix_list.dat": "publicsuffix",
  "opendmarc": "opendmarc",
  "dmarc-cat": "dmarc-cat",
  "dmarc_receive": "libmail-dmarc-perl",
  "opendkim-genkey": "opendkim-tools",
  "rspamd": "rspamd",
  "clamd": "clamav-daemon",
  "clamav-milter": "clamav-milter",
  "spamd": "spamd",
  "spamc": "spamc",
  "spamass-milter": "spamass-milter",
  "../lib/python3/dist-packages/spf.py": "python3-spf",
  "dnsmasq": "dnsmasq-base",
  "unbound": "unbound",
  "ldns-signzone": "ldnsutils",
  "slapd": "slapd",
  "gsasl": "gsasl",
  "msmtp": "msmtp",
  "htpasswd": "apache2-utils",
  "argon2": "argon2",
  "pebble": "pebble",
  "named": "bind9",
  "nginx": "nginx-light",
};

async function missingPrograms(): Promise<string[]> {
  const names = Object.keys(PROGRAMS);
  const found = await Promise.all(names.map(findProgram));
  return names.filter((_, index) => found[index] === undefined);
}

async function apt(args: readonly string[]): Promise<void> {
  const { success } = await new Deno.Command("apt-get", {
    args: ["-qq", "-o", "Dpkg::Use-Pty=0", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    // What it prints is of interest only where it fails, and it says that on standard error.
    stdout: "null",
    stderr: "inherit",
  }).spawn().status;
  if (!success) console.error(`apt-get ${args.join(" ")} failed`);
}

let missing = await missingPrograms();
if (missing.length > 0 && Deno.uid() === 0 && await findProgram("apt-get") !== undefined) {
  const packages = [...new Set(missing.map((name) => PROGRAMS[name] ?? name))];
  console.log(`installing ${packages.join(", ")}`);
  await apt(["update"]);
  await apt(["install", "--yes", "--no-install-recommends", ...packages]);
  missing = await missingPrograms();
}
if (missing.length > 0) {
  console.error(`missing: ${missing.join(", ")}`);
  console.error(`packages: ${[...new Set(missing.map((name) => PROGRAMS[name]))].join(" ")}`);
  Deno.exit(1);
}

// Most of the time is spent waiting for other programs to start and to poll, so files run three at a time.
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "--quiet", "--allow-all", "--parallel", "tests/interop", ...Deno.args],
  env: { DENO_JOBS: Deno.env.get("DENO_JOBS") ?? "3" },
  cwd: new URL("..", import.meta.url).pathname,
  stdin: "null",
  stdout: "inherit",
  stderr: "inherit",
}).spawn().status;
Deno.exit(code);
