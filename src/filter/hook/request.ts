/** What a hook is told: the JSON of a request, as docs/filters.md shows it. */

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
import { textInPieces, textOf } from "./text.ts";

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

/** The body of a request: as a whole, or piece by piece; `length` in octets. */
export type RequestBody = Uint8Array | { readonly length: number; pieces(): AsyncIterable<Uint8Array> };

/**
 * The body of the request. Content in memory becomes one piece, for which it is needed about four times over. What has
 * been spilled is read twice, once to know how long the body is; no more than a chunk of it is in memory.
 */
export async function requestBody(sources: RequestSources): Promise<RequestBody> {
  const { transaction } = sources;
  const message = transaction?.message;
  const about = {
    context: contextOf(sources),
    ...(transaction === undefined ? {} : { envelope: envelopeOf(transaction) }),
  };
  if (message === undefined) return encoder.encode(JSON.stringify(about));
  const { bodyOffset, headers, serverHeaders } = headerOf(message);
  const { content } = message;
  const { size } = content;
  if (content.complete) {
    const contents = textOf(content.head.subarray(bodyOffset));
    return encoder.encode(JSON.stringify({ ...about, message: { headers, serverHeaders, contents, size } }));
  }
  const start = JSON.stringify({ ...about, message: { headers, serverHeaders } }).slice(0, -"}}".length);
  const pieces = async function* () {
    yield encoder.encode(`${start},"contents":"`);
    for await (const text of textsOf(content, bodyOffset)) yield encoder.encode(JSON.stringify(text).slice(1, -1));
    yield encoder.encode(`","size":${size}}}`);
  };
  let length = 0;
  for await (const piece of pieces()) length += piece.length;
  return { length, pieces };
}

const encoder = new TextEncoder();

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

function headerOf({ content, serverFields }: FilteredMessage) {
  const header = parseHeader(content.head);
  return {
    bodyOffset: header.bodyOffset,
    headers: header.fields.map((field) => fieldOf(content.head.subarray(field.start, field.end), field.name)),
    serverHeaders: serverFields.flatMap((bytes) =>
      parseHeader(bytes).fields.map(({ start, end, name }) => fieldOf(bytes.subarray(start, end), name))
    ),
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

/** Octets of a body that become text at once. */
const PIECE = 65_536;

async function* textsOf(content: FilteredMessage["content"], offset: number): AsyncGenerator<string> {
  const next = textInPieces();
  let skip = offset;
  for await (const chunk of content.chunks()) {
    const from = Math.min(skip, chunk.length);
    skip -= from;
    for (let at = from; at < chunk.length; at += PIECE) yield next(chunk.subarray(at, at + PIECE));
  }
  yield next(undefined);
}
