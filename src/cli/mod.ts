/**
 * The commands a person types. {@link run} reads the arguments, runs one command and gives its exit status: 0 done, 1 it
 * could not be done, 2 the command line is wrong.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { VERSION } from "../server/mod.ts";
import { banCommand } from "./ban.ts";
import { check } from "./check.ts";
import { dkimCommand } from "./dkim.ts";
import { dnsCommand } from "./dns.ts";
import { evaluate } from "./eval.ts";
import { explainCommand } from "./explain.ts";
import { type Output, terminal } from "./output.ts";
import { queueCommand } from "./queue.ts";
import { dev, serve } from "./serve.ts";
import { sieveCommand } from "./sieve.ts";
import { trace } from "./trace.ts";

export type { Output } from "./output.ts";

/** Runs the command that `args` name. */
export async function run(args: readonly string[], output: Output = terminal): Promise<number> {
  let status = 0;
  /** Runs a command and keeps its exit status. */
  const ending = (action: Promise<number>) => action.then((code) => void (status = code));
  const program = new Command("godwit")
    .description("A mail transfer agent in one file")
    .version(`godwit ${VERSION}`, "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.print(text.trimEnd()),
      writeErr: (text) => output.error(text.trimEnd()),
    })
    .showHelpAfterError("(godwit --help lists the commands)");

  program.command("serve")
    .description("run the server until SIGTERM; SIGHUP reloads configuration and certificates")
    .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
    .action((options) => ending(serve(options, output)));
  program.command("dev")
    .description("run without configuration: take mail for everybody into ./data")
    .option("--data <dir>", "folder for the queue and the mail", "data")
    .option("--smtp-port <port>", "port of SMTP (default: 2525)")
    .option("--submission-port <port>", "port of submission (default: 5587)")
    .option("--http-port <port>", "port of the status page (default: 8025)")
    .action((options) => ending(dev(options, output)));
  program.command("check")
    .description("validate a configuration and print every problem")
    .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
    .option("--json", "print JSON")
    .action((options) => ending(check(options, output)));
  program.command("eval")
    .description("evaluate an expression; the value is the last line printed")
    .argument("<expression>")
    .option("--var <name=value>", "set a variable; may be given several times", collect, [])
    .option("--config <file>", "configuration whose directories, lists and stores the functions reach")
    .option("--json", "print JSON")
    .action((expression, options) => ending(evaluate(expression, options, output)));
  program.addCommand(queueCommand(output, ending));
  program.addCommand(banCommand(output, ending));
  program.addCommand(sieveCommand(output, ending));
  program.addCommand(dkimCommand(output, ending));
  program.addCommand(dnsCommand(output, ending));
  program.command("explain")
    .description("say what would become of a message, and which rule decides what; nothing is sent or changed")
    .requiredOption("--from <address>", "sender; <> is the null sender")
    .requiredOption("--to <address>", "recipient; may be given several times", collect, [])
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

  inherit(program);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    output.error(`godwit: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  return status;
}

/** Sub-commands report errors the way the program does. */
function inherit(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inherit(command);
  }
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}
