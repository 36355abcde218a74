/** `godwit serve` and `godwit dev`: run the server until a signal ends it. */

import {
  type Config,
  developmentConfig,
  findConfigFile,
  formatProblem,
  type LoadResult,
  parseConfig,
} from "../config/mod.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server/mod.ts";
import { emitWarnings, find, read } from "./configuration.ts";
import { collectGarbage } from "./memory.ts";
import { type Output, printable } from "./output.ts";

/** Runs the server of a configuration file. @returns 0 after SIGTERM or SIGINT, 1 if it could not start */
export async function serve(options: { config?: string }, output: Output): Promise<number> {
  const found = await find(options.config, output);
  if (found === undefined) return 1;
  const { config, problems } = await read(found);
  if (config === undefined) {
    for (const problem of problems) output.error(formatProblem(problem, found));
    return 1;
  }
  const reread = async (): Promise<LoadResult | readonly string[]> => {
    const file = await findConfigFile(options.config);
    if (file === undefined) return ["the configuration file is gone"];
    const result = await read(file);
    if (result.config !== undefined) return result;
    const errors = result.problems.filter((problem) => problem.severity === "error");
    return errors.map((problem) => formatProblem(problem, file));
  };
  return await runUntilSignal(config, reread, {
    onTelemetry: ({ emit }) => emitWarnings(emit, problems),
    runAs: { user: Deno.env.get("RUN_AS_USER"), group: Deno.env.get("RUN_AS_GROUP") },
  }, output);
}

/** Where `godwit dev` keeps its data. */
const DEV_DATA = "data";

/**
 * Runs a server that needs no configuration and takes mail for anybody: for a laptop.
 *
 * @returns 0 after SIGTERM or SIGINT, 1 if it could not start, 2 for a wrong command line
 */
export async function dev(
  options: { data?: string; smtpPort?: string; submissionPort?: string; httpPort?: string },
  output: Output,
): Promise<number> {
  const data = options.data ?? DEV_DATA;
  const ports = {
    "--smtp-port": options.smtpPort,
    "--submission-port": options.submissionPort,
    "--http-port": options.httpPort,
  };
  for (const [name, port] of Object.entries(ports)) {
    if (port === undefined || /^\d{1,5}$/.test(port) && Number(port) <= 65535) continue;
    output.error(`${name} ${printable(port)}: expected a port from 0 to 65535`);
    return 2;
  }
  const text = developmentConfig(data, {
    ...(options.smtpPort === undefined ? {} : { smtpPort: Number(options.smtpPort) }),
    ...(options.submissionPort === undefined ? {} : { submissionPort: Number(options.submissionPort) }),
    ...(options.httpPort === undefined ? {} : { httpPort: Number(options.httpPort) }),
  });
  const { config, problems } = parseConfig(text, { file: "" });
  for (const problem of problems) output.error(formatProblem(problem));
  if (config === undefined) return 1;
  const onStart = (server: RunningServer) => {
    const at = (id: string) => server.listeners().find((listener) => listener.id === id)?.addresses[0] ?? "-";
    output.print(`
godwit takes mail for everybody and delivers it into ${data}/mail

  SMTP        ${at("smtp")}
  submission  ${at("submission")}   user dev, password dev
  status      http://${at("http")}

Try: swaks --server ${at("smtp")} --from ana@example.org --to bob@example.net
Stop with Ctrl-C.
`);
  };
  return await runUntilSignal(config, undefined, { mailboxRoot: `${data}/mail` }, output, onStart);
}

async function runUntilSignal(
  config: Config,
  reread: (() => Promise<LoadResult | readonly string[]>) | undefined,
  options: ServerOptions,
  output: Output,
  onStart: (server: RunningServer) => void = () => {},
): Promise<number> {
  // Mail, keys and passwords pass through the files made here: nobody else may read them.
  Deno.umask(0o077);
  // Signals are heard from the start: one that comes while the server starts must not kill it half-way.
  const stopped = Promise.withResolvers<void>();
  const stop = () => stopped.resolve();
  let hangUp = () => {};
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGHUP", () => hangUp());
  let server: RunningServer;
  try {
    server = await startServer(config, options);
  } catch (error) {
    output.error(`godwit could not start: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  const { emit } = server.telemetry;
  let reloading: Promise<void> = Promise.resolve();
  const reload = async () => {
    if (reread === undefined) return;
    try {
      const next = await reread();
      if (!("problems" in next)) {
        for (const reason of next) emit("server.reload-error", { reason });
      } else if (next.config !== undefined) {
        await server.reload(next.config);
        emitWarnings(emit, next.problems);
      }
    } catch (error) {
      emit("server.reload-error", { reason: error instanceof Error ? error.message : String(error) });
    }
  };
  hangUp = () => {
    reloading = reloading.then(reload);
  };
  // A mistake in one transaction must not end the process and everybody else's with it.
  const absorb = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    const cause: unknown = "reason" in event ? event.reason : event.error;
    emit("server.unexpected-error", { reason: cause instanceof Error ? cause.stack ?? cause.message : String(cause) });
  };
  addEventListener("error", absorb);
  addEventListener("unhandledrejection", absorb);
  onStart(server);
  collectGarbage();
  await stopped.promise;
  await server.stop();
  return 0;
}
