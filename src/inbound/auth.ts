/** AUTH (RFC 4954): which SASL mechanisms a session offers, and running one against a directory. */

import type { Directory } from "../directory/mod.ts";
import { LookupUnavailable } from "../expression/mod.ts";
import { type Command, type Reply, reply } from "../smtp/mod.ts";
import { cramMd5 } from "./sasl_cram_md5.ts";
import type { Mechanism, SaslResult } from "./sasl_exchange.ts";
import { oauthBearer, xoauth2 } from "./sasl_oauth.ts";
import { login, plain } from "./sasl_password.ts";
import { scramSha256 } from "./sasl_scram.ts";
import type { Session } from "./session.ts";

type AuthCommand = Extract<Command, { verb: "AUTH" }>;

/** Mechanisms by the name that the configuration has for them. */
const MECHANISMS: ReadonlyMap<string, Mechanism> = new Map([
  ["plain", plain],
  ["login", login],
  ["cram-md5", cramMd5],
  ["scram-sha-256", scramSha256],
  ["oauthbearer", oauthBearer],
  ["xoauth2", xoauth2],
]);

/** The mechanisms to advertise now, lower case: those the directory can check, and none that would show a secret. */
export async function offeredMechanisms(session: Session): Promise<readonly string[]> {
  const { auth } = session.deps.config;
  const configured = await session.evaluate(auth.mechanisms);
  if (configured.length === 0) return [];
  const directory = await directoryOf(session);
  if (directory === undefined) return [];
  const offered: string[] = [];
  for (const name of configured) {
    const mechanism = MECHANISMS.get(name);
    if (mechanism !== undefined && canCheck(directory, mechanism) && await isSafe(session, mechanism)) {
      offered.push(name);
    }
  }
  return [...new Set(offered)];
}

async function directoryOf(session: Session): Promise<Directory | undefined> {
  const id = await session.evaluate(session.deps.config.auth.directory);
  return id === false ? undefined : session.deps.directories.get(id);
}

function canCheck(directory: Directory, { checks }: Mechanism): boolean {
  switch (checks) {
    case "password":
      return directory.token === undefined;
    case "secret":
      return directory.plainSecrets !== undefined;
    case "token":
      return directory.token !== undefined;
  }
}

/** Whether what a mechanism sends can be read by nobody else now. */
async function isSafe(session: Session, { exposes }: Mechanism): Promise<boolean> {
  if (session.connection.tls !== undefined || exposes === "nothing") return true;
  // RFC 6750 §5.3: a bearer token is never sent in clear text.
  return exposes === "password" && await session.evaluate(session.deps.config.auth.allowPlainText);
}

/** Runs one AUTH command to its final reply. */
export async function authenticate(session: Session, command: AuthCommand): Promise<Reply> {
  const { config, directories } = session.deps;
  if (!session.extended) return session.refuse("smtp.did-not-say-ehlo", reply(503, "5.5.1", "Send EHLO first"));
  if (session.account !== undefined) {
    return session.refuse("smtp.already-authenticated", reply(503, "5.5.1", "Already authenticated"));
  }
  if (session.transaction !== undefined) return reply(503, "5.5.1", "AUTH is not permitted during a mail transaction");
  const name = command.mechanism.toLowerCase();
  const configured = await session.evaluate(config.auth.mechanisms);
  const directoryId = await session.evaluate(config.auth.directory);
  if (configured.length === 0 || directoryId === false) return await notOffered(session);
  const directory = directories.get(directoryId);
  if (directory === undefined) {
    return session.refuse("smtp.missing-auth-directory", reply(454, "4.7.0", "Temporary authentication failure"));
  }
  const mechanism = configured.includes(name) ? MECHANISMS.get(name) : undefined;
  if (mechanism === undefined || !canCheck(directory, mechanism)) {
    const answer = reply(504, "5.5.4", "Authentication mechanism is not supported");
    return session.refuse("smtp.auth-mechanism-not-supported", answer);
  }
  if (!await isSafe(session, mechanism)) {
    // RFC 4954 §4: 538 tells the client to start TLS before it tries this mechanism.
    return encryptFirst(session);
  }
  if (mechanism.serverFirst && command.initial !== undefined) {
    // RFC 4954 §4
    return reply(501, "5.7.0", "This mechanism takes no initial response");
  }
  return await conclude(session, name, () => mechanism.run({ session, directory, initial: command.initial }));
}

function encryptFirst(session: Session): Reply {
  const how = session.connection.canStartTls ? ", use STARTTLS first" : "";
  return session.refuse(
    "smtp.auth-not-allowed",
    reply(538, "5.7.11", `Encryption is required for this mechanism${how}`),
  );
}

/** Where AUTH is offered on encrypted sessions only, the client is told what to do. */
async function notOffered(session: Session): Promise<Reply> {
  const { connection, variables, deps } = session;
  if (connection.tls === undefined && connection.canStartTls) {
    variables.is_tls = true;
    try {
      const { mechanisms, directory } = deps.config.auth;
      if ((await session.evaluate(mechanisms)).length > 0 && await session.evaluate(directory) !== false) {
        return encryptFirst(session);
      }
    } finally {
      variables.is_tls = false;
    }
  }
  return session.refuse("smtp.auth-not-allowed", reply(502, "5.5.1", "AUTH is not offered here"));
}

async function conclude(session: Session, mechanism: string, run: () => Promise<SaslResult>): Promise<Reply> {
  const { emit } = session.deps;
  const fields = {
    session: session.id,
    listener: session.connection.listener,
    remoteIp: session.connection.remote.ip,
    mechanism,
  };
  let result: SaslResult;
  try {
    result = await unlessHeldBack(session, await run());
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    emit("auth.error", { ...fields, reason: error.message });
    return reply(454, "4.7.0", "Temporary authentication failure, try again later");
  }
  switch (result.kind) {
    case "ended":
      return result.reply;
    case "accepted":
      session.account = result.account;
      session.authMechanism = mechanism;
      session.variables.authenticated_as = result.account.name;
      await session.refreshLimits();
      emit("auth.success", { ...fields, account: result.account.name });
      return reply(235, "2.7.0", "Authentication succeeded");
    case "refused":
      return await refuse(session, { ...fields, account: result.name }, result.reply);
  }
}

/** A login name that failed too often, from wherever, is refused although the secret was right (`server.auto-ban.auth`). */
async function unlessHeldBack(session: Session, result: SaslResult): Promise<SaslResult> {
  if (result.kind !== "accepted") return result;
  const name = result.name ?? result.account.name;
  return await session.deps.loginRefused?.(name) === true ? { kind: "refused", name } : result;
}

async function refuse(
  session: Session,
  fields: Readonly<Record<string, string>>,
  otherwise: Reply | undefined,
): Promise<Reply> {
  const { config, emit } = session.deps;
  emit("auth.failed", fields);
  session.authFailures++;
  await session.pause(await session.evaluate(config.auth.errors.wait));
  if (session.authFailures >= await session.evaluate(config.auth.errors.total)) {
    session.ending = "refused";
    emit("auth.too-many-attempts", fields);
    return reply(421, "4.7.0", "Too many authentication failures, closing");
  }
  return otherwise ?? reply(535, "5.7.8", "Authentication credentials invalid");
}
