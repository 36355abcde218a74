/** Every command but those that run the server: what is asked once and ends. */

import type { Command } from "commander";
import { VERSION } from "../server/mod.ts";
import { banCommand } from "./ban.ts";
import { check } from "./check.ts";
import { dkimCommand } from "./dkim.ts";
import { dnsCommand } from "./dns.ts";
import { evaluate } from "./eval.ts";
import { explainCommand } from "./explain.ts";
import type { Output } from "./output.ts";
import { queueCommand } from "./queue.ts";
import { reportCommand } from "./report.ts";
import { sieveCommand } from "./sieve.ts";
import { trace } from "./trace.ts";

/** Adds the commands to `program`. `ending` runs an action and keeps its exit status. */
export function addTools(program: Command, output: Output, ending: (action: Promise<number>) => Promise<void>): void {
  program.command("check")
    .description("validate a configuration and print every problem")
    .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
    .option("--json", "print JSON")
    .action((options) => ending(check(options, output)));
  program.command("eval")
    .description("evaluate an expression; the value is the last line printed")
    .argument("<expression>")
    .option("--var <name=value>", "set a variable; may be given several times", collect)
    .option("--config <file>", "configuration whose directories, lists and stores the functions reach")
    .option("--json", "print JSON")
    .action((expression, options) => ending(evaluate(expression, options, output)));
  program.addCommand(queueCommand(output, ending));
  program.addCommand(reportCommand(output, ending));
  program.addCommand(banCommand(output, ending));
  program.addCommand(sieveCommand(output, ending));
  program.addCommand(dkimCommand(output, ending));
  program.addCommand(dnsCommand(output, ending));
  program.command("explain")
    .description("say what would become of a message, and which rule decides what; nothing is sent or changed")
    .requiredOption("--from <address>", "sender; <> is the null sender")
    .requiredOption("--to <address>", "recipient; may be given several times", collect)
    .option("--message <file>", "the message; a short one is made up without it")
    .option("--ip <address>", "address of the client (default: 127.0.0.1)")
    .option("--listener <id>", "listener that the client comes to (default: the first for mail)")
    .option("--helo <name>", "name that the client gives in EHLO")
    .option("--auth-as <account>", "account that is logged in")
    .option("--tls", "the session is encrypted")
    .option("--size <octets>", "size that the client announces")
    .option("--priority <n>", "MT-PRIORITY")
    .option("--source <source>", "source of the message, instead of what the session makes it")
    .option("--retry-num <n>", "failed attempts so far")
    .option("--notify-num <n>", "notices of delay so far")
    .option("--last-error <error>", "why the last attempt failed")
    .option("--last-status <code>", "reply code of the last attempt")
    .option("--queue-age <seconds>", "time since the message was accepted")
    .option("--mx <host>", "mail host to look at, instead of those of the domain")
    .option("--offline", "do not ask DNS")
    .option("--all", "show defaults, and rules that did not hold, too")
    .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
    .option("--json", "print JSON")
    .action((options) => ending(explainCommand(options, output)));
  program.command("trace")
    .description("follow the dialogues of a running server until Ctrl-C; credentials and content are never shown")
    .option("--address <address>", "transactions with this sender or recipient")
    .option("--domain <domain>", "transactions with a sender or recipient in this domain")
    .option("--peer <ip>", "sessions with this address or network, such as 192.0.2.0/24")
    .option("--in", "only sessions of clients with this server")
    .option("--out", "only deliveries to other servers")
    .option("--config <file>", "configuration whose http listener is asked")
    .option("--url <url>", "management API to ask, instead of the one of the configuration")
    .option("--token <token>", "bearer token (default: GODWIT_TOKEN, or http.auth.token of the configuration)")
    .option("--json", "print one JSON object a line")
    .action((options) => ending(trace(options, output)));
  program.command("version")
    .description("print the version")
    .option("--json", "print JSON")
    .action((options) => {
      output.print(
        options.json === true
          ? JSON.stringify({ version: VERSION, deno: Deno.version.deno, target: Deno.build.target })
          : `godwit ${VERSION} (Deno ${Deno.version.deno}, ${Deno.build.target})`,
      );
    });
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}
