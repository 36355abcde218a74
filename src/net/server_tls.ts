/** The server's side of a TLS handshake on an accepted socket. */

import { type SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "../clock/mod.ts";
import type { TlsSettings } from "../config/config.ts";
import { type ByteStream, nodeByteStream } from "./byte_stream.ts";
import type { CertificateStore } from "./certificates.ts";
import { permittedVersions } from "./cipher_suites.ts";
import type { TlsInfo } from "./connection.ts";
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
}

/** A handshake that did not come to its end. */
export class TlsHandshakeError extends Error {
  override readonly name = "TlsHandshakeError";
}

// RFC 8446 §6: fatal handshake_failure, as a record in plain text.
const HANDSHAKE_FAILURE = Uint8Array.of(21, 3, 3, 0, 2, 2, 40);

/**
 * Shakes hands as the server. The socket belongs to the stream from then on, and is closed if this fails.
 *
 * @throws {TlsHandshakeError} if the peers do not come to terms, the client leaves, or `settings.timeout` passes
 */
export function serverHandshake(
  socket: Deno.TcpConn,
  options: ServerTlsOptions,
): Promise<{ stream: ByteStream; info: TlsInfo }> {
  const { settings, certificates, clock } = options;
  let serverName: string | undefined;

  const contextFor = (name: string | undefined): SecureContext => {
    const certificate = certificates.select(name, settings.certificate);
    if (certificate === undefined) throw new TlsHandshakeError("there is no certificate");
    const versions = permittedVersions(settings, certificate.key);
    if (versions === undefined) throw new TlsHandshakeError("every protocol version and suite is switched off");
    return certificate.context(versions);
  };

  return new Promise((resolve, reject) => {
    // Until something was sent no keys are in use, so an alert can still be told in plain text.
    const duplex = socketDuplex(socket, options.early, (sent) => sent === 0 ? HANDSHAKE_FAILURE : undefined);
    const fail = (error: Error) => {
      timer.cancel();
      reject(error instanceof TlsHandshakeError ? error : new TlsHandshakeError(error.message, { cause: error }));
      duplex.destroy(error);
    };
    const timer = clock.after(
      settings.timeout,
      () => fail(new TlsHandshakeError(`the TLS handshake took longer than ${settings.timeout / 1000} s`)),
    );
    let secure: TLSSocket | undefined;
    duplex.on("error", (error) => {
      if (secure?.destroyed === false) secure.destroy(error);
    });
    try {
      secure = new TLSSocket(duplex, {
        isServer: true,
        secureContext: contextFor(undefined),
        SNICallback(name, answer) {
          if (name !== "") serverName = name;
          try {
            answer(null, contextFor(name));
          } catch (error) {
            answer(error instanceof Error ? error : new Error(String(error)));
          }
        },
        ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
      });
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const established = secure;
    const onClose = () => fail(new TlsHandshakeError("the client left during the TLS handshake"));
    established.on("error", fail);
    established.once("close", onClose);
    established.once("secure", () => {
      established.off("close", onClose);
      timer.cancel();
      const info = tlsInfo(established, serverName);
      if (info === undefined) return fail(new TlsHandshakeError("the runtime does not tell what was agreed"));
      resolve({ stream: nodeByteStream(established, clock), info });
    });
  });
}
