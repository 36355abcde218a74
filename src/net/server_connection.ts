/** An accepted connection: plain, TLS from the start, or TLS after STARTTLS. */

import type { Clock } from "../clock/mod.ts";
import type { ListenerConfig } from "../config/config.ts";
import { type ByteStream, closeSocket, type SocketStream, socketStream } from "./byte_stream.ts";
import type { CertificateStore } from "./certificates.ts";
import type { Endpoint, ServerConnection, TlsInfo } from "./connection.ts";
import { serverHandshake, TlsHandshakeError } from "./server_tls.ts";

/** What an accepted connection is made of. */
export interface AcceptedOptions {
  readonly socket: Deno.TcpConn;
  readonly config: ListenerConfig;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly certificates: CertificateStore;
  readonly clock: Clock;
  /** Bytes that came with the PROXY header. */
  readonly early: Uint8Array | undefined;
  /** Called once, when the connection is closed on this side. */
  readonly onClose: () => void;
}

/** {@link ServerConnection} as the listener makes it. */
export interface AcceptedConnection extends ServerConnection {
  /** TLS from the first byte; bytes that came with the PROXY header belong to the handshake. */
  startImplicitTls(): Promise<TlsInfo>;
}

/** Makes the connection; nothing is read or written yet. */
export function acceptedConnection(options: AcceptedOptions): AcceptedConnection {
  const { socket, config, certificates, clock } = options;
  const plain: SocketStream = socketStream(socket, options.early);
  let stream: ByteStream = plain;
  let tls: TlsInfo | undefined;
  let shaking = false;
  let closed = false;

  const close = () => {
    if (closed) return;
    closed = true;
    if (shaking) closeSocket(socket);
    else stream.close();
    options.onClose();
  };

  const handshake = async (early: Uint8Array | undefined, showsProofs: boolean): Promise<TlsInfo> => {
    if (closed) throw new TlsHandshakeError("the connection is closed");
    if (tls !== undefined || shaking) throw new TlsHandshakeError("the connection has TLS already");
    shaking = true;
    try {
      const agreed = await serverHandshake(socket, {
        settings: config.tls,
        certificates,
        clock,
        early,
        showsProofs,
        ...(config.protocol === "http" ? { alpn: ["http/1.1"] } : {}),
      });
      shaking = false;
      stream = agreed.stream;
      tls = agreed.info;
    } catch (error) {
      close();
      throw error;
    }
    if (closed) {
      stream.close();
      throw new TlsHandshakeError("the connection was closed during the TLS handshake");
    }
    return tls;
  };

  return {
    listener: config.id,
    protocol: config.protocol,
    remote: options.remote,
    local: options.local,
    get tls() {
      return tls;
    },
    get canStartTls() {
      return config.tls.enable && tls === undefined && certificates.size > 0;
    },
    read: (buffer) => stream.read(buffer),
    write: (bytes) => stream.write(bytes),
    close,
    startTls() {
      // RFC 3207 §4.2: what was sent before the handshake must not count after it.
      plain.takeEarly();
      return handshake(undefined, false);
    },
    startImplicitTls: () => handshake(plain.takeEarly(), true),
  };
}
