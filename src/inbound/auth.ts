/** AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN against a directory. */

import type { Directory, LoginResult } from "../directory/mod.ts";
import { LookupUnavailable } from "../expression/mod.ts";
import { type Command, type Reply, reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";

type AuthCommand = Extract<Command, { verb: "AUTH" }>;

/** Longest line of an exchange, octets with CRLF (RFC 4954 §4). */
const LONGEST_EXCHANGE_LINE = 12288;

/** Mechanisms that send the password in clear text. */
const PLAIN_TEXT = new Set(["plain", "login"]);

/** Mechanisms that this room speaks. */
const KNOWN = new Set(["plain", "login"]);

/** The mechanisms to advertise now, lower case: none that would show a password to the network. */
export async function offeredMechanisms(session: Session): Promise<readonly string[]> {
  const { auth } = session.deps.config;
  const mechanisms = (await session.evaluate(auth.mechanisms)).filter((name) => KNOWN.has(name));
  if (mechanisms.length === 0 || await session.evaluate(auth.directory) === false) return [];
  if (session.connection.tls !== undefined || await session.evaluate(auth.allowPlainText)) return mechanisms;
  return mechanisms.filter((name) => !PLAIN_TEXT.has(name));
}

interface Credentials {
  readonly authorize: string;
  readonly user: string;
  readonly password: string;
}

/** Runs one AUTH command to its final reply. */
export async function authenticate(session: Session, command: AuthCommand): Promise<Reply> {
  const { config } = session.deps;
  if (!session.extended) return reply(503, "5.5.1", "Send EHLO first");
  if (session.account !== undefined) return reply(503, "5.5.1", "Already authenticated");
  if (session.transaction !== undefined) return reply(503, "5.5.1", "AUTH is not permitted during a mail transaction");
  const mechanism = command.mechanism.toLowerCase();
  const configured = await session.evaluate(config.auth.mechanisms);
  const directoryId = await session.evaluate(config.auth.directory);
  if (configured.length === 0 || directoryId === false) return reply(503, "5.5.1", "AUTH is not available here");
  const offered = await offeredMechanisms(session);
  if (!offered.includes(mechanism)) {
    // RFC 4954 §4: 538 tells the client to start TLS before it tries this mechanism.
    return configured.includes(mechanism) && KNOWN.has(mechanism)
      ? reply(538, "5.7.11", "Encryption is required for this mechanism, use STARTTLS first")
      : reply(504, "5.5.4", "Authentication mechanism is not supported");
  }
  const directory = session.deps.directories.get(directoryId);
  if (directory === undefined) return reply(454, "4.7.0", "Temporary authentication failure");
  const credentials = mechanism === "plain"
    ? await plain(session, command.initial)
    : await login(session, command.initial);
  if ("code" in credentials) return credentials;
  return await check(session, directory, mechanism, credentials);
}

async function check(
  session: Session,
  directory: Directory,
  mechanism: string,
  credentials: Credentials,
): Promise<Reply> {
  const { config, emit } = session.deps;
  const fields = {
    session: session.id,
    listener: session.connection.listener,
    remoteIp: session.connection.remote.ip,
    account: credentials.user,
    mechanism,
  };
  let result: LoginResult;
  try {
    result = await directory.login(credentials.user, credentials.password);
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    emit("auth.error", { ...fields, reason: error.message });
    return reply(454, "4.7.0", "Temporary authentication failure, try again later");
  }
  // RFC 4616 §2: acting for somebody else is not offered.
  const allowed = credentials.authorize === "" || credentials.authorize === credentials.user;
  if (result.kind === "accepted" && allowed) {
    session.account = result.account;
    session.authMechanism = mechanism;
    session.variables.authenticated_as = result.account.name;
    await session.refreshLimits();
    emit("auth.success", fields);
    return reply(235, "2.7.0", "Authentication succeeded");
  }
  emit("auth.failed", fields);
  session.authFailures++;
  await session.pause(await session.evaluate(config.auth.errors.wait));
  if (session.authFailures >= await session.evaluate(config.auth.errors.total)) {
    session.ending = "refused";
    emit("auth.too-many-attempts", fields);
    return reply(421, "4.7.0", "Too many authentication failures, closing");
  }
  return reply(535, "5.7.8", "Authentication credentials invalid");
}

async function plain(session: Session, initial: string | undefined): Promise<Credentials | Reply> {
  const response = await respond(session, initial, "");
  if ("code" in response) return response;
  const parts = response.text.split("\0");
  const [authorize, user, password] = parts;
  if (parts.length !== 3 || authorize === undefined || !user || !password) {
    return reply(501, "5.5.2", "PLAIN takes authorization identity, NUL, user name, NUL, password");
  }
  return { authorize, user, password };
}

async function login(session: Session, initial: string | undefined): Promise<Credentials | Reply> {
  const user = await respond(session, initial, "Username:");
  if ("code" in user) return user;
  const password = await respond(session, undefined, "Password:");
  if ("code" in password) return password;
  if (user.text === "" || password.text === "") return reply(501, "5.5.2", "User name and password must not be empty");
  return { authorize: "", user: user.text, password: password.text };
}

/** The client's next response, decoded; asks for it with `challenge` unless it came with the command. */
async function respond(
  session: Session,
  initial: string | undefined,
  challenge: string,
): Promise<{ readonly text: string } | Reply> {
  let encoded = initial;
  if (encoded === undefined) {
    session.send(reply(334, "", btoa(challenge)), { enhanced: false });
    const line = await session.readLine(LONGEST_EXCHANGE_LINE);
    if (line === "too-long") return reply(500, "5.5.6", "Authentication exchange line is too long");
    encoded = new TextDecoder().decode(line);
    if (encoded === "*") return reply(501, "5.7.0", "Authentication cancelled");
  } else if (encoded === "=") {
    // RFC 4954 §4: an initial response of zero length.
    encoded = "";
  }
  return decode(encoded) ?? reply(501, "5.5.2", "Response is not valid base64 of UTF-8 text");
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function decode(encoded: string): { readonly text: string } | undefined {
  if (!BASE64.test(encoded)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return undefined;
  }
}
