/** A client or server connection as the SMTP rooms see it: bytes, peers, and TLS on demand. */

/** What TLS was agreed on. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** IANA or OpenSSL name of the suite as the runtime gives it, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string;
  /** Key bits of the cipher, 0 if unknown. */
  readonly cipherBits: number;
  /** Name sent by SNI, if any. */
  readonly serverName?: string;
  /** Subject and issuer of the peer's certificate, if it showed one. */
  readonly peerSubject?: string;
  readonly peerIssuer?: string;
}

/** Address and port; IPv4-mapped IPv6 appears as IPv4. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** An established connection. Not for use by two readers or two writers at once. */
export interface Connection {
  /** The other side (after PROXY protocol on inbound connections). */
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Set once TLS is up. */
  readonly tls: TlsInfo | undefined;
  /**
   * Reads what is there into `buffer`.
   *
   * @returns number of bytes, or `null` at the end of the stream
   * @throws {Error} if the connection broke or was closed on this side
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes all of `bytes`; resolves when the runtime has taken them. The caller may reuse `bytes` after that. */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes at once; pending reads and writes reject. Harmless when already closed. */
  close(): void;
}

/** An inbound connection; STARTTLS can be answered on it. */
export interface ServerConnection extends Connection {
  /** Id of the listener that took it. */
  readonly listener: string;
  readonly protocol: "smtp" | "lmtp" | "http";
  /** Whether STARTTLS can be offered. */
  readonly canStartTls: boolean;
  /**
   * Makes the connection encrypted, as the server. Bytes that this side read before and did not use must be dropped
   * by the caller (RFC 3207 §4.2); the handshake starts with the next byte from the socket.
   *
   * @throws {Error} if the handshake fails or takes longer than `server.tls.timeout`; the connection is then closed
   */
  startTls(): Promise<TlsInfo>;
}
