/** `godwit ban`: looks at and changes the list of banned addresses, beside a running server or without one. */

import { Command } from "commander";
import { systemClock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { parseDuration } from "../expression/mod.ts";
import { closeStores, openStores } from "../server/mod.ts";
import type { Store } from "../store/mod.ts";
import { banTarget, deleteBan, latestBans, setBan } from "../throttle/mod.ts";
import { ApiError, type ApiOptions, askApi } from "./api_client.ts";
import { load } from "./configuration.ts";
import { type Output, printable, table } from "./output.ts";

interface Options extends ApiOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Most bans that are listed. */
const MOST = 10_000;

/** How long a running server is given to look at its list again, in milliseconds. */
const PATIENCE = 3_000;

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function banCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const ban = new Command("ban").description("look at and change the list of banned addresses");
  const common = (command: Command) =>
    command
      .option("--config <file>", "configuration (default: ./config.toml, then /etc/godwit/config.toml)")
      .option("--json", "print JSON");
  const telling = (command: Command) =>
    common(command)
      .option("--url <url>", "management API of the server that shall follow at once, instead of the configuration's")
      .option("--token <token>", "bearer token (default: GODWIT_TOKEN, or http.auth.token of the configuration)");
  common(ban.command("list").description("list bans, newest first"))
    .action((options: Options) => ending(list(options, output)));
  telling(ban.command("add").description("ban an address or a network such as 192.0.2.0/24"))
    .argument("<address>")
    .option("--expire <duration>", "end of the ban, such as 12h (default: until it is removed)")
    .action((address: string, options: Options & { readonly expire?: string }) =>
      ending(add(address, options, output))
    );
  telling(ban.command("remove").description("take an address or a network off the list"))
    .argument("<address>")
    .action((address: string, options: Options) => ending(remove(address, options, output)));
  return ban;
}

async function withStore(
  options: Options,
  output: Output,
  action: (store: Store, config: Config) => Promise<number>,
): Promise<number> {
  const config = await load(options.config, output);
  if (config === undefined) return 1;
  const stores = await openStores(config, { emit: () => {}, clock: systemClock }, [config.storage.data]);
  try {
    const store = stores.get(config.storage.data);
    if (store === undefined) throw new Error(`store '${config.storage.data}' is not defined`);
    return await action(store, config);
  } finally {
    await closeStores(stores);
  }
}

async function list(options: Options, output: Output): Promise<number> {
  return await withStore(options, output, async (store) => {
    const bans = await latestBans(store, systemClock.now(), MOST);
    if (options.json === true) output.print(JSON.stringify(bans));
    else if (bans.length === 0) output.print("no bans");
    else {
      const rows = bans.map(({ ip, reason, created, expires }) => [ip, reason, created, expires ?? "-"]);
      for (const line of table(["ADDRESS", "REASON", "SINCE", "UNTIL"], rows, output)) output.print(line);
    }
    return 0;
  });
}

async function add(text: string, options: Options & { readonly expire?: string }, output: Output): Promise<number> {
  const ip = target(text, output);
  const life = options.expire === undefined ? undefined : parseDuration(options.expire);
  if (options.expire !== undefined && (life === undefined || life <= 0)) {
    output.error(`--expire ${options.expire}: expected a duration such as 12h`);
    return 2;
  }
  if (ip === undefined) return 2;
  return await withStore(options, output, async (store, config) => {
    const created = systemClock.now();
    const expires = life === undefined ? undefined : created + life;
    await setBan(store, { ip, reason: "manual", created, expires });
    const until = expires === undefined ? null : new Date(expires).toISOString();
    return await changed({ ip, action: "add", expires: until }, `${ip} is banned`, config, options, output);
  });
}

async function remove(text: string, options: Options, output: Output): Promise<number> {
  const ip = target(text, output);
  if (ip === undefined) return 2;
  return await withStore(options, output, async (store, config) => {
    if (!await deleteBan(store, ip, systemClock.now())) {
      output.error(`${ip} is not banned; godwit ban list shows what is`);
      return 1;
    }
    return await changed({ ip, action: "remove" }, `${ip} is not banned any more`, config, options, output);
  });
}

function target(text: string, output: Output): string | undefined {
  const ip = banTarget(text);
  if (ip === undefined) output.error(`${printable(text)}: expected an IP address or a network such as 192.0.2.0/24`);
  return ip;
}

/** Tells what was done, and lets a running server know where it can be reached; others look every 15 seconds. */
async function changed(
  result: Readonly<Record<string, unknown>>,
  sentence: string,
  config: Config,
  options: Options,
  output: Output,
): Promise<number> {
  let told = true;
  try {
    // Whoever is asked for the list reads it anew.
    const response = await askApi(config, options, "/api/bans", {}, AbortSignal.timeout(PATIENCE));
    await response.body?.cancel();
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof DOMException)) throw error;
    told = false;
  }
  if (options.json === true) output.print(JSON.stringify(result));
  else output.print(told ? sentence : `${sentence}; a running server sees it within 15 seconds`);
  return 0;
}
