/** What a hook is told: the JSON of a request (reference §5.3). */

import { parseHeader } from "../../message/mod.ts";
import {
  formatMailCommand,
  formatPath,
  formatRcptCommand,
  type MailParameters,
  type RcptParameters,
} from "../../smtp/mod.ts";
import type { FilteredMessage, FilteredSession, FilteredTransaction, Stage } from "../filter.ts";
import { LISTENER } from "../parameters.ts";
import { textOf } from "./text.ts";

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

/** Version of the format. */
const VERSION = "1.0";

type Parameters = Readonly<Record<string, string | number | boolean>> | null;

/** What a session and a transaction look like to a hook. */
export interface RequestSources {
  readonly stage: Stage;
  readonly session: FilteredSession;
  readonly transaction: FilteredTransaction | undefined;
  /** Name that the client address has in DNS, `""` if none is known. */
  readonly ptr: string;
  /** Connections of the client at the moment. */
  readonly connections: number;
}

/** The body of the request. Memory for the message is needed about four times over. */
export async function requestBody(sources: RequestSources): Promise<string> {
  const { transaction } = sources;
  const message = transaction?.message;
  return JSON.stringify({
    context: contextOf(sources),
    ...(transaction === undefined ? {} : { envelope: envelopeOf(transaction) }),
    ...(message === undefined ? {} : { message: await messageOf(message) }),
  });
}

function contextOf({ stage, session, transaction, ptr, connections }: RequestSources) {
  const { remote, local, tls } = session;
  const id = transaction?.message?.id;
  return {
    stage: stage.toUpperCase(),
    ...(session.authenticatedAs === ""
      ? {}
      : { sasl: { login: session.authenticatedAs, method: session.authMechanism } }),
    client: {
      ip: remote.ip,
      port: remote.port,
      ...(ptr === "" ? {} : { ptr }),
      ...(session.heloDomain === "" ? {} : { ehlo: session.heloDomain }),
      activeConnections: connections,
    },
    ...(tls === undefined ? {} : {
      tls: {
        version: tls.version,
        cipher: tls.cipher,
        cipherBits: tls.cipherBits,
        ...(tls.peerIssuer === undefined ? {} : { certIssuer: tls.peerIssuer }),
        ...(tls.peerSubject === undefined ? {} : { certSubject: tls.peerSubject }),
      },
    }),
    server: { name: session.hostname, port: local.port, ip: local.ip },
    ...(id === undefined ? {} : { queue: { id } }),
    protocol: { version: VERSION },
  };
}

function envelopeOf({ sender, parameters, recipients, recipient }: FilteredTransaction) {
  const all = recipient === undefined ? recipients : [...recipients, recipient];
  return {
    from: { address: sender, parameters: mailParameters(sender, parameters) },
    to: all.map(({ address, parameters }) => ({ address, parameters: rcptParameters(address, parameters) })),
  };
}

function mailParameters(sender: string, parameters: MailParameters): Parameters {
  const { size } = parameters;
  const line = formatMailCommand(sender, parameters, LISTENER, 0);
  const found = parametersOf(line.slice("MAIL FROM:".length + formatPath(sender).length));
  return size === undefined ? found : { size, ...found };
}

function rcptParameters(address: string, parameters: RcptParameters): Parameters {
  const line = formatRcptCommand(address, parameters, LISTENER);
  return parametersOf(line.slice("RCPT TO:".length + formatPath(address).length));
}

/** Parameters by their names in lower case; those without a value are `true`. */
function parametersOf(text: string): Parameters {
  const words = text.split(" ").filter((word) => word !== "");
  if (words.length === 0) return null;
  return Object.fromEntries(words.map((word) => {
    const equals = word.indexOf("=");
    return equals < 0 ? [word.toLowerCase(), true] : [word.slice(0, equals).toLowerCase(), word.slice(equals + 1)];
  }));
}

async function messageOf({ content, serverFields }: FilteredMessage) {
  const header = parseHeader(content.head);
  return {
    headers: header.fields.map((field) => fieldOf(content.head.subarray(field.start, field.end), field.name)),
    serverHeaders: serverFields.flatMap((bytes) =>
      parseHeader(bytes).fields.map(({ start, end, name }) => fieldOf(bytes.subarray(start, end), name))
    ),
    contents: textOf(await bodyOf(content, header.bodyOffset)),
    size: content.size,
  };
}

/** Name and value: what stands behind colon and space, folds included. */
function fieldOf(bytes: Uint8Array, name: string): readonly [string, string] {
  const colon = bytes.indexOf(COLON);
  const start = bytes[colon + 1] === SPACE ? colon + 2 : colon + 1;
  let end = bytes.length;
  if (bytes[end - 1] === LF) end--;
  if (bytes[end - 1] === CR) end--;
  return [name, textOf(bytes.subarray(Math.min(start, end), end))];
}

async function bodyOf(content: FilteredMessage["content"], offset: number): Promise<Uint8Array> {
  if (content.complete) return content.head.subarray(offset);
  const body = new Uint8Array(Math.max(0, content.size - offset));
  let skip = offset;
  let at = 0;
  for await (const chunk of content.chunks()) {
    const from = Math.min(skip, chunk.length);
    skip -= from;
    body.set(chunk.subarray(from), at);
    at += chunk.length - from;
  }
  return body;
}
