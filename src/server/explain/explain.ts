/**
 * Says what would become of a message and which rule decides it: the session that it would come by is held with a client
 * that is made up, and what would be queued is followed to the hosts that it would go to. Nothing is changed or sent.
 */

import type { Config } from "../../config/mod.ts";
import { type Account, type Directory, resolveRecipient } from "../../directory/mod.ts";
import { DnsError, type Resolver } from "../../dns/mod.ts";
import { constantSetting, LookupUnavailable } from "../../expression/mod.ts";
import { loadFilterMakers } from "../../filter/mod.ts";
import { memoryContent } from "../../message/mod.ts";
import type { FetchPolicy } from "../../outbound/mod.ts";
import type { NewMessage } from "../../queue/mod.ts";
import { createGeneration, forwardingHost, type World } from "../generation.ts";
import { decisionOf, observeSettings } from "./decisions.ts";
import { limitOf, planRecipient, rateLimits } from "./delivery.ts";
import type { Explanation, Stage } from "./explanation.ts";
import { createRecorder, NO_QUEUE, readingOnly, type Rehearsal, rehearse, type RehearsedStage } from "./rehearsal.ts";
import type { ExplainRequest } from "./request.ts";
import { rehearsedScripts } from "./scripts.ts";

/** What an explanation is worked out with. */
export type ExplainWorld =
  & Omit<World, "functions" | "filterMakers" | "throttle" | "queue" | "buildNotice" | "wire" | "emit">
  & {
    /** Fetches policies of MTA-STS; by HTTPS if not given. */
    readonly fetchPolicy?: FetchPolicy;
  };

/** The request cannot be explained as it is; the message is for people. */
export class ExplainError extends Error {
  override readonly name = "ExplainError";
}

/**
 * Explains.
 *
 * @throws {ExplainError} if the request names what does not exist
 * @throws {LookupUnavailable} if a directory, store or DNS server that is needed first cannot be reached
 */
export async function explain(config: Config, request: ExplainRequest, world: ExplainWorld): Promise<Explanation> {
  const listeners = config.server.listeners.filter(({ protocol }) => protocol !== "http").map(({ id }) => id);
  if (request.listener !== undefined && !listeners.includes(request.listener)) {
    throw new ExplainError(`there is no listener ${request.listener} for mail; there are ${listeners.join(", ")}`);
  }
  const record = createRecorder();
  record.begin("load");
  const observed = observeSettings(
    { session: withoutPauses(config.session), rest: { ...config, session: undefined } },
    (key, account) => {
      record.current.accounts.push({ key, account });
      // What cannot be looked up is told where the account is read.
      account.catch(() => {});
    },
  );
  const resolver = request.offline ? offlineResolver() : world.resolver;
  const generation = createGeneration({ ...config, ...observed.rest, session: observed.session }, {
    ...world,
    resolver,
    functions: forwardingHost(),
    // Milters and hooks are not asked, and scripts are rehearsed apart.
    filterMakers: {},
    throttle: NO_THROTTLE,
    queue: NO_QUEUE,
    buildNotice: () => undefined,
    wire: { tap: undefined },
    emit: () => {},
  });
  try {
    const { inbound } = generation;
    record.begin("connect");
    if (config.milters.length + config.hooks.length > 0) record.current.notes.push("milters and hooks are not asked");
    const account = await accountNamed(request.authAs, inbound.directories);
    const functions = readingOnly(inbound.functions);
    const { createSieveFilter } = await loadFilterMakers({ milters: [], hooks: [], sieve: config.sieve });
    const filters = createSieveFilter && rehearsedScripts(createSieveFilter, {
      config: { ...config, sieve: observed.rest.sieve },
      functions,
      stores: world.stores,
      clock: world.clock,
      note: (text) => void record.current.notes.push(text),
    });
    const rehearsal = await rehearse(request, inbound, { config, filters, account, record });
    // A script has taken the message and gives it to nobody.
    const dropped = rehearsal.taken && rehearsal.queued === undefined;
    const stages: Stage[] = [];
    for (const stage of told(rehearsal.stages)) stages.push(await toStage(stage, config, inbound.directories));
    const message = { ...messageOf(rehearsal, request, account), ...(request.source && { source: request.source }) };
    const context = {
      config,
      functions,
      resolver: request.offline ? undefined : world.resolver,
      store: world.stores.get(config.storage.data),
      fetchPolicy: world.fetchPolicy,
      now: world.clock.now(),
    };
    const recipients = [];
    for (const { address } of dropped ? [] : message.recipients) {
      recipients.push(await planRecipient(message, address, request, context));
    }
    return {
      accepted: rehearsal.taken && rehearsal.refused.size === 0,
      dropped,
      session: stages,
      addedFields: addedFields(rehearsal),
      source: message.source,
      priority: message.priority,
      recipients,
    };
  } finally {
    generation.retire();
  }
}

/** What is worth telling: of the settings that were read at load those that nobody read again. */
function told(stages: readonly RehearsedStage[]): readonly RehearsedStage[] {
  const later = new Set(
    stages.filter(({ name }) => name !== "load").flatMap(({ accounts }) => accounts.map(({ key }) => key)),
  );
  return stages.flatMap((stage) => {
    if (stage.name !== "load") return stage.name === "quit" ? [] : [stage];
    const accounts = stage.accounts.filter(({ key }) => !later.has(key));
    return accounts.length === 0 ? [] : [{ ...stage, accounts }];
  });
}

/** Counts nothing: limits are told, not applied. */
const NO_THROTTLE: World["throttle"] = {
  rates: {
    take: () => true,
    giveBack: () => {},
    fullUntil: () => undefined,
    forget: () => Promise.resolve(),
    isUsedUp: () => Promise.resolve(false),
  },
  slots: { acquire: () => () => {}, close: () => Promise.resolve() },
  abuse: { loginRefused: () => false },
};

/** Nobody has to wait for an answer that slows down guessing. */
function withoutPauses(session: Config["session"]): Config["session"] {
  const none = (key: string) => constantSetting(key, 0);
  return {
    ...session,
    auth: { ...session.auth, errors: { ...session.auth.errors, wait: none("session.auth.errors.wait") } },
    rcpt: { ...session.rcpt, errors: { ...session.rcpt.errors, wait: none("session.rcpt.errors.wait") } },
  };
}

async function accountNamed(
  name: string,
  directories: ReadonlyMap<string, Directory>,
): Promise<Account | undefined> {
  if (name === "") return undefined;
  for (const directory of directories.values()) {
    const account = await directory.account(name);
    if (account !== undefined) return account;
  }
  throw new ExplainError(`auth-as: no directory has an account ${name}`);
}

async function toStage(
  stage: RehearsedStage,
  config: Config,
  directories: ReadonlyMap<string, Directory>,
): Promise<Stage> {
  const decisions = [];
  const seen = new Set<string>();
  for (const { key, account } of stage.accounts) {
    const decision = await decisionOf(config, key, account);
    const text = JSON.stringify(decision);
    if (!seen.has(text)) decisions.push(decision);
    seen.add(text);
  }
  const limits = [];
  for (const { stage: name, scope } of stage.limits) {
    for (const limiter of config.inboundLimiters) {
      if (limiter.stage === name) limits.push(await limitOf({ config }, limiter, rateLimits(limiter), scope));
    }
  }
  const notes = [...stage.notes, ...await directoryNotes(stage, directories)];
  return { name: stage.name, said: stage.said, decisions, limits, notes };
}

/** Whom the directory finds behind a recipient, by what the settings came to. */
async function directoryNotes(
  stage: RehearsedStage,
  directories: ReadonlyMap<string, Directory>,
): Promise<readonly string[]> {
  const values = new Map<string, unknown>();
  for (const { key, account } of stage.accounts) {
    const known = await account.catch(() => undefined);
    if (known !== undefined) values.set(key, known.value);
  }
  const id = values.get("session.rcpt.directory");
  const directory = typeof id === "string" ? directories.get(id) : undefined;
  const given = /^rcpt (.*)$/s.exec(stage.name)?.[1];
  if (directory === undefined || given === undefined) return [];
  const rewritten = values.get("session.rcpt.rewrite");
  const address = typeof rewritten === "string" && rewritten !== "" ? rewritten : given;
  const option = (key: string) => {
    const value = values.get(key);
    return typeof value === "boolean" || typeof value === "string" ? value : false;
  };
  try {
    const found = await resolveRecipient(directory, address, {
      subAddressing: option("session.rcpt.sub-addressing"),
      catchAll: option("session.rcpt.catch-all"),
    });
    switch (found.kind) {
      case "local":
        return [`directory ${directory.id}: ${address} belongs to ${found.accounts.join(", ")}`];
      case "unknown":
        return [`directory ${directory.id}: the domain of ${address} is local, and nobody there has the address`];
      case "not-local":
        return [`directory ${directory.id}: the domain of ${address} is not local`];
    }
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    return [`directory ${directory.id} cannot be asked: ${error.message}`];
  }
}

/** What would be queued; where nothing would, what the request says, as if it were. */
function messageOf(rehearsal: Rehearsal, request: ExplainRequest, account: Account | undefined): NewMessage {
  return rehearsal.queued ?? {
    id: 1,
    envelope: { sender: request.from, parameters: {} },
    recipients: request.to.map((address) => ({ address, parameters: {} })),
    content: memoryContent(rehearsal.message),
    source: account === undefined ? "unauthenticated" : "authenticated",
    priority: request.priority ?? 0,
    receivedFromIp: request.ip,
    receivedViaPort: 0,
    authenticatedAs: account?.name ?? "",
    heloDomain: request.helo,
  };
}

/** The fields that were put on top of the message: all before its own first line. */
function addedFields({ queued, message }: Rehearsal): readonly string[] {
  if (queued === undefined) return [];
  const decoder = new TextDecoder();
  const [first = ""] = decoder.decode(message.subarray(0, LONGEST_LINE)).split("\r\n");
  const head = decoder.decode(queued.content.head);
  const end = head.startsWith(`${first}\r\n`) ? 0 : head.indexOf(`\r\n${first}\r\n`);
  return head.slice(0, Math.max(0, end)).replace(/\r\n[ \t]+/g, " ").split("\r\n").filter(Boolean);
}

/** Octets of the first line of a message that are looked at. */
const LONGEST_LINE = 1000;

const REFUSED = () => Promise.reject(new DnsError("DNS is not asked (offline)", "network"));

/** Answers nothing. */
function offlineResolver(): Resolver {
  return {
    a: REFUSED,
    aaaa: REFUSED,
    mx: REFUSED,
    txt: REFUSED,
    ptr: REFUSED,
    tlsa: REFUSED,
    cname: REFUSED,
    ns: REFUSED,
  };
}
