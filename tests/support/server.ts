/** A whole server inside the test process: port 0, a store in a temporary folder, events that can be awaited. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Clock } from "../../src/clock/mod.ts";
import { compileScripts } from "../../src/config/build/scripts.ts";
import { type Config, formatProblem, parseConfig } from "../../src/config/mod.ts";
import type { Resolver } from "../../src/dns/mod.ts";
import { type RunningServer, startServer } from "../../src/server/mod.ts";
import type { ObservedEvent } from "../../src/telemetry/mod.ts";
import { makeCertificate, type TestCertificate } from "./certificates.ts";
import { within } from "./within.ts";

/** A running server and the folder it works in. */
export interface TestServer extends AsyncDisposable {
  readonly server: RunningServer;
  /** Holds `data`, `mail` and whatever the test puts there; removed at the end. */
  readonly folder: string;
  /** Certificate of mx.example.org, self-signed. */
  readonly certificate: TestCertificate;
  /** Every event so far. */
  readonly events: readonly ObservedEvent[];
  address(listener: string): { hostname: string; port: number };
  /** The next event of this name that has not been returned before and meets `test`. */
  event(name: string, test?: (event: ObservedEvent) => boolean): Promise<ObservedEvent>;
  /** Content of the messages in a Maildir below `mail`, such as `example.org/ana`. */
  mail(mailbox: string): Promise<string[]>;
}

/** Configuration that tests start from; a test's own text stands before it, in dotted keys that this does not set. */
export function baseConfiguration(folder: string): string {
  return `
server.hostname = "mx.example.org"
server.listener.smtp = { bind = "127.0.0.1:0", protocol = "smtp" }
server.listener.lmtp = { bind = "127.0.0.1:0", protocol = "lmtp" }
store.data = { type = "libsql", url = "file:${join(folder, "data", "godwit.db")}" }
storage.data = "data"
storage.directory = "staff"
queue.route.local = { type = "local", path = "${join(folder, "mail")}/{domain}/{local}/Maildir" }
tracer.quiet = { type = "console", enable = false }
directory.staff.type = "memory"
[[directory.staff.principals]]
name = "ana"
description = "Ana Lima"
secret = "secret"
email = ["ana@example.org", "postmaster@example.org"]
email-list = ["staff@example.org"]
[[directory.staff.principals]]
name = "bob"
secret = "hidden"
email = ["bob@example.org"]
email-list = ["staff@example.org"]
`;
}

/** Nobody asks who sends; a test that wants that says `checks`. */
const NO_CHECKS = ["iprev", "spf", "dkim", "arc", "dmarc"]
  .flatMap((method) => method === "spf" ? ["spf.verify.ehlo", "spf.verify.mail-from"] : [`${method}.verify`])
  .map((key) => `auth.${key} = "disable"\n`).join("");

let sharedCertificate: Promise<TestCertificate> | undefined;

/** Reads the configuration that {@link startTestServer} would start with. */
export function testConfiguration(
  configuration: string,
  options: {
    readonly folder: string;
    readonly certificate: TestCertificate;
    readonly base?: boolean;
    readonly checks?: boolean;
  },
): Config {
  const { folder, certificate } = options;
  const text = `${options.checks === true ? "" : NO_CHECKS}
${configuration.replaceAll("{folder}", folder)}
${options.base === false ? "" : baseConfiguration(folder)}
[certificate.test]
cert = """${certificate.cert}"""
private-key = """${certificate.privateKey}"""
`;
  const { config, problems } = parseConfig(text, { file: join(folder, "config.toml"), compileScripts });
  assert.ok(config, problems.map((problem) => formatProblem(problem)).join("\n"));
  return config;
}

/** Starts a server. `configuration` is TOML that is put before {@link baseConfiguration} unless `base` is false. */
export async function startTestServer(
  configuration = "",
  options: {
    clock?: Clock;
    resolver?: Resolver;
    mxPort?: number;
    /** Where MTA-STS policies are fetched. */
    policyPort?: number;
    base?: boolean;
    folder?: string;
    /** Whether checks of who sends are carried out as configured; otherwise they are switched off. */
    checks?: boolean;
  } = {},
): Promise<TestServer> {
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "godwit_test_" });
  const certificate = await (sharedCertificate ??= makeCertificate({ names: ["mx.example.org"] }));
  const config = testConfiguration(configuration, {
    folder,
    certificate,
    ...(options.base === undefined ? {} : { base: options.base }),
    ...(options.checks === undefined ? {} : { checks: options.checks }),
  });
  const events: ObservedEvent[] = [];
  const taken = new Set<ObservedEvent>();
  let wake = Promise.withResolvers<void>();
  const server = await startServer(config, {
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.resolver === undefined ? {} : { resolver: options.resolver }),
    ...(options.mxPort === undefined ? {} : { mxPort: options.mxPort }),
    ...(options.policyPort === undefined ? {} : { policyPort: options.policyPort }),
    onTelemetry: (telemetry) =>
      telemetry.observe(["*"], (event) => {
        events.push(event);
        wake.resolve();
        wake = Promise.withResolvers<void>();
      }),
  });
  return {
    server,
    folder,
    certificate,
    events,
    address(id) {
      const address = server.listeners().find((listener) => listener.id === id)?.addresses[0];
      assert.ok(address, `no listener ${id}`);
      const { hostname, port } = new URL(`tcp://${address}`);
      return { hostname, port: Number(port) };
    },
    async event(name, test = () => true) {
      while (true) {
        const found = events.find((event) => event.name === name && !taken.has(event) && test(event));
        if (found !== undefined) {
          taken.add(found);
          return found;
        }
        await within(
          wake.promise,
          () => `no event ${name} within 20 s; there were:\n${events.map(describe).join("\n")}`,
        );
      }
    },
    async mail(mailbox) {
      const messages: string[] = [];
      const path = join(folder, "mail", mailbox, "Maildir", "new");
      for await (const entry of Deno.readDir(path)) messages.push(await Deno.readTextFile(join(path, entry.name)));
      return messages;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      if (options.folder === undefined) await Deno.remove(folder, { recursive: true });
    },
  };
}

function describe(event: ObservedEvent): string {
  return `${event.name} ${JSON.stringify(event.fields)}`;
}
