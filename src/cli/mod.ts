/**
 * The commands a person types. {@link run} reads the arguments, runs one command and gives its exit status: 0 done, 1 it
 * could not be done, 2 the command line is wrong.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { VERSION } from "../server/mod.ts";
import { type Output, terminal } from "./output.ts";
import { dev, serve } from "./serve.ts";

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
  // A server does without the modules of all other commands: they would cost it some megabytes for its whole life.
  if (args[0] !== "serve" && args[0] !== "dev") {
    const { addTools } = await import("./tools.ts");
    addTools(program, output, ending);
  }

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

/** Sub-commands report errors as the program does, and point to their own help. `path` is what leads to `parent`. */
function inherit(parent: Command, path = parent.name()): void {
  for (const command of parent.commands) {
    const name = `${path} ${command.name()}`;
    const shown = command.commands.length > 0 ? "lists the commands" : "shows what it takes";
    command.copyInheritedSettings(parent).showHelpAfterError(`(${name} --help ${shown})`);
    inherit(command, name);
  }
}
