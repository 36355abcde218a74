/** The server's side of a TLS handshake on an accepted socket. */

import { type SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "../clock/mod.ts";
import type { TlsSettings } from "../config/config.ts";
import { type ByteStream, closeSocket, nodeByteStream, writeAll } from "./byte_stream.ts";
import type { CertificateStore, ChallengeCertificates, ServerCertificate } from "./certificates.ts";
import { CIPHER_SUITES, permittedVersions, type VersionRange } from "./cipher_suites.ts";
import { canCheck, CLIENT_HELLO_MAX, type ClientHello, readClientHello, versionsFor } from "./client_hello.ts";
import type { TlsInfo } from "./connection.ts";
import { PROOF_PROTOCOL, showProof } from "./proof_tls.ts";
import { socketDuplex } from "./socket_duplex.ts";
import { tlsInfo } from "./tls_info.ts";

/** What a handshake needs. */
export interface ServerTlsOptions {
  readonly settings: TlsSettings;
  readonly certificates: CertificateStore;
  readonly clock: Clock;
  /** Protocols for ALPN (RFC 7301), best first; none: ALPN is not answered. */
  readonly alpn?: readonly string[];
  /** Bytes read from the socket before that belong to the handshake. */
  readonly early?: Uint8Array | undefined;
  /** Whether proofs of names are shown to those who ask for them (RFC 8737), which ends the connection. */
  readonly showsProofs?: boolean;
}

/** A handshake that did not come to its end. */
export class TlsHandshakeError extends Error {
  override readonly name = "TlsHandshakeError";
  /** What the client did instead of shaking hands: it left without a word, or let the time pass. */
  readonly idle: "left" | "timeout" | undefined;
  /** Whether the client came to see a proof of a name, and has seen what there is. */
  readonly isProof: boolean;

  constructor(
    message: string,
    options: ErrorOptions & { readonly idle?: "left" | "timeout" | undefined; readonly isProof?: boolean } = {},
  ) {
    super(message, options);
    this.idle = options.idle;
    this.isProof = options.isProof ?? false;
  }
}

function clientLeft(received: number): TlsHandshakeError {
  return new TlsHandshakeError("the client left during the TLS handshake", {
    idle: received === 0 ? "left" : undefined,
  });
}

// RFC 8446 §6: fatal handshake_failure, as a record in plain text.
const HANDSHAKE_FAILURE = Uint8Array.of(21, 3, 3, 0, 2, 2, 40);

/**
 * Shakes hands as the server. The socket belongs to the stream from then on, and is closed if this fails.
 *
 * Where suites are switched off, or a name has certificates of several kinds, the ClientHello is read first: see
 * {@link versionsFor} and {@link canCheck}.
 *
 * @throws {TlsHandshakeError} if the peers do not come to terms, the client leaves, or `settings.timeout` passes
 */
export async function serverHandshake(
  socket: Deno.TcpConn,
  options: ServerTlsOptions,
): Promise<{ stream: ByteStream; info: TlsInfo }> {
  const { settings, certificates, clock } = options;
  const control: Control = { abandon: () => closeSocket(socket) };
  let late: TlsHandshakeError | undefined;
  const timer = clock.after(settings.timeout, () => {
    const message = `the TLS handshake took longer than ${settings.timeout / 1000} s`;
    late = new TlsHandshakeError(message, { idle: "timeout" });
    control.abandon(late);
  });
  try {
    const proofs = options.showsProofs === true && certificates.proofs?.expected() === true
      ? certificates.proofs
      : undefined;
    if (settings.disableCiphers.length === 0 && proofs === undefined && !certificates.hasKinds) {
      return await shakeHands(socket, options, { bytes: options.early, versionsOf: permittedVersions }, control);
    }
    const { hello, bytes } = await receiveClientHello(socket, options.early);
    // RFC 8737 §3: an authority offers this protocol and no other.
    if (proofs !== undefined && hello.protocols.length === 1 && hello.protocols[0] === PROOF_PROTOCOL) {
      return await endWithProof(socket, hello, proofs);
    }
    if (settings.disableCiphers.length === 0) {
      return await shakeHands(socket, options, { bytes, hello, versionsOf: permittedVersions }, control);
    }
    const versionsOf: Beginning["versionsOf"] = (_, key) => versionsFor(hello, settings, key);
    const agreed = await shakeHands(socket, options, { bytes, hello, versionsOf }, control);
    const used = CIPHER_SUITES.find((suite) => suite.name === agreed.info.cipher);
    if (used === undefined || settings.disableCiphers.includes(used.setting)) {
      agreed.stream.close();
      throw new TlsHandshakeError(`${agreed.info.cipher} was agreed on, which is switched off`);
    }
    return agreed;
  } catch (error) {
    if (late !== undefined) throw late;
    if (error instanceof TlsHandshakeError) throw error;
    throw new TlsHandshakeError(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    timer.cancel();
  }
}

/** Shows the certificate that proves a name. @throws {TlsHandshakeError} always: there is nothing to say afterwards */
async function endWithProof(
  socket: Deno.TcpConn,
  hello: ClientHello,
  proofs: ChallengeCertificates,
): Promise<never> {
  const { serverName } = hello;
  try {
    const proof = serverName === undefined ? undefined : await proofs.certificate(serverName);
    if (proof === undefined || serverName === undefined) {
      await writeAll(socket, HANDSHAKE_FAILURE);
      throw new TlsHandshakeError("a proof was asked for that there is not", { isProof: true });
    }
    const ends = {
      read: (buffer: Uint8Array) => socket.read(buffer),
      write: (bytes: Uint8Array) => writeAll(socket, bytes),
    };
    let failure: string | undefined;
    try {
      await showProof(ends, hello, proof);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      await writeAll(socket, HANDSHAKE_FAILURE).catch(() => {});
    }
    proofs.shown(serverName, failure);
    throw new TlsHandshakeError("a proof was shown", { isProof: true });
  } finally {
    closeSocket(socket);
  }
}

interface Control {
  abandon: (error: TlsHandshakeError) => void;
}

/** Reads until the ClientHello is whole; what was read belongs to the handshake all the same. */
async function receiveClientHello(
  socket: Deno.TcpConn,
  early: Uint8Array | undefined,
): Promise<{ hello: ClientHello; bytes: Uint8Array }> {
  const buffer = new Uint8Array(CLIENT_HELLO_MAX);
  let length = 0;
  if (early !== undefined) {
    buffer.set(early);
    length = early.length;
  }
  try {
    for (;;) {
      const result = readClientHello(buffer.subarray(0, length));
      if (result.kind === "hello") return { hello: result.hello, bytes: buffer.slice(0, length) };
      if (result.kind === "invalid") throw new TlsHandshakeError(result.reason);
      const count = await socket.read(buffer.subarray(length));
      if (count === null) throw clientLeft(length);
      length += count;
    }
  } catch (error) {
    closeSocket(socket);
    throw error;
  }
}

/** What a client has sent so far. */
interface Beginning {
  readonly bytes: Uint8Array | undefined;
  /** Read out of that, where it matters. */
  readonly hello?: ClientHello;
  /** The versions that it may be offered, by kind of key. */
  readonly versionsOf: (settings: TlsSettings, key: ServerCertificate["key"]) => VersionRange | undefined;
}

function shakeHands(
  socket: Deno.TcpConn,
  { settings, certificates, clock, alpn }: ServerTlsOptions,
  { bytes, hello, versionsOf }: Beginning,
  control: Control,
): Promise<{ stream: ByteStream; info: TlsInfo }> {
  let serverName: string | undefined;
  const fits = hello &&
    ((certificate: ServerCertificate) =>
      canCheck(hello, certificate, settings) && versionsOf(settings, certificate.key) !== undefined);
  const contextFor = (name: string | undefined): SecureContext => {
    const certificate = certificates.select(name, settings.certificate, fits);
    if (certificate === undefined) throw new TlsHandshakeError("there is no certificate");
    const versions = versionsOf(settings, certificate.key);
    if (versions === undefined) throw new TlsHandshakeError("no protocol version and suite is left to agree on");
    return certificate.context(versions);
  };

  return new Promise((resolve, reject) => {
    // Until something was sent no keys are in use, so an alert can still be told in plain text.
    let abandoned = false;
    const duplex = socketDuplex(socket, bytes, (sent) => sent > 0 || abandoned ? undefined : HANDSHAKE_FAILURE);
    let secure: TLSSocket | undefined;
    const fail = (error: Error) => {
      reject(error);
      duplex.destroy(error);
    };
    control.abandon = (error) => {
      abandoned = true;
      fail(error);
    };
    duplex.on("error", (error) => {
      if (secure?.destroyed === false) secure.destroy(error);
    });
    try {
      secure = new TLSSocket(duplex, {
        isServer: true,
        // Asked for every client, whether it sends a name or not.
        SNICallback(name, answer) {
          if (name !== "") serverName = name;
          try {
            answer(null, contextFor(name));
          } catch (error) {
            answer(error instanceof Error ? error : new Error(String(error)));
          }
        },
        ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      });
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const established = secure;
    // The end of the stream alone would leave the handshake waiting.
    const onLeft = () => fail(clientLeft(duplex.received()));
    established.on("error", fail);
    established.once("close", onLeft);
    duplex.once("end", onLeft);
    established.once("secure", () => {
      established.off("close", onLeft);
      duplex.off("end", onLeft);
      const info = tlsInfo(established, serverName);
      if (info === undefined) return fail(new TlsHandshakeError("the runtime does not tell what was agreed"));
      resolve({ stream: nodeByteStream(established, clock, duplex), info });
    });
  });
}
