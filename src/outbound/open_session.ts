/** From an address to a session that takes mail: connection, greeting, EHLO, TLS, login. */

import type { Clock } from "../clock/mod.ts";
import type { ConnectionConfig, PoolConfig } from "../config/config.ts";
import { type ClientConnection, ConnectError, type ConnectFailure, type TlsMemory } from "../net/mod.ts";
import { NO_EXTENSIONS, parseEhlo } from "../smtp/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { Wire } from "../telemetry/mod.ts";
import { tellUnreached } from "./dialogue.ts";
import { type Connect, Overtaken } from "./family_race.ts";
import type { Pool } from "./pool.ts";
import { type Credentials, logIn } from "./sasl.ts";
import { ConnectionLost, Session } from "./session.ts";
import { NO_TLS, type TlsAllowed, type TlsTarget, type TlsTrial, unauthorized } from "./tls_policy.ts";
import { type Failure, failure, refusal, type TlsFaultType } from "./verdict.ts";

/** What a connection that failed says of an address; the others say nothing of it. */
const SILENCE: Readonly<Partial<Record<ConnectFailure, string>>> = {
  refused: "refused a connection",
  unreachable: "could not be reached",
  timeout: "gave no answer",
};

/** Where to and how. */
export interface OpenOptions {
  readonly host: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: "smtp" | "lmtp";
  readonly localIp: string | undefined;
  readonly ehloName: string;
  readonly timeout: ConnectionConfig["timeout"];
  readonly pool: PoolConfig;
  readonly tlsTimeout: number;
  readonly tls: TlsAllowed;
  /** What {@link tls} was decided on. */
  readonly target: TlsTarget;
  /** A policy that is on trial beside {@link tls}. */
  readonly trial?: TlsTrial | undefined;
  /** Set where TLS has failed before: its result is that of the first attempt. */
  readonly uncounted?: true;
  /** TLS is agreed on from scratch, without anything that earlier sessions have left. */
  readonly fresh?: true;
  readonly implicit: boolean;
  readonly auth: Credentials | undefined;
  /** Connects, if not like others. */
  readonly connect?: Connect | undefined;
  readonly signal: AbortSignal;
}

/** One of the configured source addresses that has the family of the remote one, at random. */
export function sourceAddress(
  connection: ConnectionConfig | undefined,
  ip: string,
  random: () => number,
): string | undefined {
  if (connection === undefined || connection.sourceIps.length === 0) return undefined;
  const six = ip.includes(":");
  const fitting = connection.sourceIps.filter((source) => source.includes(":") === six);
  return fitting[Math.floor(random() * fitting.length)];
}

/** What sessions are opened with. */
export interface OpenContext {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly pool: Pool;
  readonly tlsMemory: TlsMemory;
  /** Where others may listen to what is said. */
  readonly wire?: Wire | undefined;
}

/**
 * Opens a session.
 *
 * @param opened told of the session as soon as there is a connection, so that it can be closed from outside
 * @returns the session after EHLO, or why there is none; then nothing is left open
 */
export async function openSession(
  options: OpenOptions,
  context: OpenContext,
  opened: (session: Session) => void,
): Promise<Session | Failure> {
  const { host, ip, port } = options;
  const { emit } = context;
  const fields = { host, remoteIp: ip, remotePort: port };
  let connection: ClientConnection;
  try {
    connection = await (options.connect ?? context.connect)({
      ip,
      port,
      localIp: options.localIp,
      timeout: options.timeout.connect,
      clock: context.clock,
      signal: options.signal,
    });
  } catch (error) {
    const details = messageOf(error);
    if (error instanceof Overtaken) {
      tellUnreached(context.wire, { host, ip }, `not connected yet: ${details}`);
      return failure("deferred", "connection", "4.4.1", `${host}: ${details}`, {
        host,
        elsewhere: true,
        overtakenBy: error.winner,
      });
    }
    emit("delivery.connect-error", { ...fields, details });
    tellUnreached(context.wire, { host, ip }, `no connection: ${details}`);
    const silent = error instanceof ConnectError ? SILENCE[error.kind] : undefined;
    // RFC 3463 X.4.1: no answer from host.
    return failure("deferred", "connection", "4.4.1", `${host}: ${details}`, {
      host,
      elsewhere: true,
      ...(silent === undefined ? {} : { silent }),
    });
  }
  emit("delivery.connect", { ...fields, localIp: connection.local.ip });
  const session = new Session(connection, {
    clock: context.clock,
    host,
    protocol: options.protocol,
    wire: context.wire,
  });
  opened(session);
  let refused: Failure | undefined;
  try {
    refused = await introduce(session, options, context);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) {
      session.close();
      throw error;
    }
    emit("delivery.greeting-failed", { ...fields, details: error.message });
    return session.timedOut ? { ...error.failure, silent: "gave no answer" } : error.failure;
  }
  if (refused === undefined) return session;
  context.pool.quit(session);
  return refused;
}

async function introduce(
  session: Session,
  options: OpenOptions,
  { emit, tlsMemory }: OpenContext,
): Promise<Failure | undefined> {
  const { timeout } = options;
  const fields = { host: options.host, remoteIp: options.ip };
  if (options.implicit) {
    const failed = await shakeHands(session, options, tlsMemory);
    if (failed?.stale) return failed;
    if (failed !== undefined) {
      emit("delivery.implicit-tls-error", { ...fields, details: failed.detail.text });
      return failed;
    }
  }
  const greeting = await session.reply("greeting", timeout.greeting);
  if (greeting.code !== 220) {
    emit("delivery.greeting-failed", { ...fields, status: greeting.code, details: greeting.text.join(" ") });
    return refusal(session, "greeting", greeting, true);
  }
  let refused = await sayHello(session, options);
  if (refused !== undefined) {
    emit("delivery.ehlo-rejected", { ...fields, status: refused.detail.status, details: refused.detail.text });
    return refused;
  }
  emit("delivery.ehlo", fields);
  if (!options.implicit && options.tls.kind === "tls") {
    refused = await startTls(session, options, options.tls, { emit, tlsMemory });
    if (refused !== undefined) return refused;
  }
  if (options.auth !== undefined) {
    // Neither names nor secrets of an exchange belong into what is kept or shown.
    session.dialogue.secret = true;
    refused = await logIn(session, options.auth, timeout.ehlo);
    session.dialogue.secret = false;
    if (refused !== undefined) {
      emit("delivery.auth-failed", { ...fields, status: refused.detail.status, details: refused.detail.text });
      return refused;
    }
    emit("delivery.auth", fields);
  }
  return undefined;
}

/** EHLO or LHLO; a server that knows neither gets HELO (RFC 5321 §3.2). */
async function sayHello(session: Session, options: OpenOptions): Promise<Failure | undefined> {
  const { ehloName, timeout } = options;
  const verb = options.protocol === "lmtp" ? "LHLO" : "EHLO";
  const reply = await session.command(`${verb} ${ehloName}`, verb, timeout.ehlo);
  if (reply.code === 250) {
    session.peer = parseEhlo(reply);
    return undefined;
  }
  if (verb === "LHLO" || reply.code < 500) return refusal(session, verb, reply, true);
  const second = await session.command(`HELO ${ehloName}`, "HELO", timeout.ehlo);
  session.peer = NO_EXTENSIONS;
  return second.code === 250 ? undefined : refusal(session, "HELO", second, true);
}

async function startTls(
  session: Session,
  options: OpenOptions,
  decision: Extract<TlsAllowed, { kind: "tls" }>,
  { emit, tlsMemory }: Pick<OpenContext, "emit" | "tlsMemory">,
): Promise<Failure | undefined> {
  const fields = { host: options.host, remoteIp: options.ip };
  const without = (text: string, status: number): Failure | undefined => {
    emit("delivery.start-tls-unavailable", { ...fields, details: text });
    if (!decision.required) return undefined;
    const dialogue = session.dialogue.lines();
    return failure("deferred", decision.lastError, NO_TLS, text, {
      host: session.host,
      status,
      dialogue,
      elsewhere: true,
      tlsFault: "starttls-not-supported",
    });
  };
  if (!session.peer.starttls) {
    return without(`${session.label} does not offer STARTTLS${decision.required ? ", which is required" : ""}`, 0);
  }
  const reply = await session.command("STARTTLS", "STARTTLS", options.timeout.ehlo);
  if (reply.code !== 220) return without(refusal(session, "STARTTLS", reply, true).detail.text, reply.code);
  const failed = await shakeHands(session, options, tlsMemory);
  if (failed?.stale) return failed;
  if (failed !== undefined) {
    emit("delivery.start-tls-error", { ...fields, details: failed.detail.text });
    return failed;
  }
  const { tls } = session.connection;
  const resumed = session.connection.tlsResult?.resumed === true;
  emit("delivery.start-tls", { ...fields, version: tls?.version, cipher: tls?.cipher, resumed });
  return await sayHello(session, options);
}

async function shakeHands(
  session: Session,
  { tls: decision, trial, fresh, tlsTimeout }: OpenOptions,
  memory: TlsMemory,
): Promise<Failure | undefined> {
  if (decision.kind !== "tls") return undefined;
  const { serverName } = decision;
  // The decision does not mind what it did not ask for.
  const verify = trial === undefined ? decision.verify : "pki";
  // A server that trips over a session that it does not know any more deserves a try without one.
  let stale = !fresh && memory.session(serverName) !== undefined;
  let text: string;
  let end: string;
  let type: TlsFaultType = "validation-failure";
  try {
    const result = await session.startTls({ serverName, verify, timeout: tlsTimeout, memory, fresh });
    stale = !fresh && result.remembered;
    const fault = decision.fault(result) ?? (stale && verify === "pki" ? unauthorized(result) : undefined);
    if (fault === undefined) {
      session.dialogue.note(result.resumed ? "TLS agreed, session resumed" : "TLS agreed");
      return undefined;
    }
    text = `${session.label}: ${fault.text}`;
    end = fault.text;
    type = fault.type;
  } catch (error) {
    end = `TLS handshake failed: ${messageOf(error)}`;
    text = `TLS handshake with ${session.label} failed: ${messageOf(error)}`;
  }
  const dialogue = session.dialogue.lines(end);
  session.close();
  if (stale) memory.forgetSession(serverName);
  // RFC 3463 X.7.5 would be "cryptographic failure"; 4.7.5 is also what is made up for a certificate that fails.
  return failure("deferred", decision.lastError, "4.7.5", text, {
    host: session.host,
    dialogue,
    elsewhere: true,
    tlsFault: type,
    ...(stale ? { stale: true } : {}),
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
