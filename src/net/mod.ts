/**
 * Sockets: what comes in and what goes out, before anyone speaks SMTP.
 *
 * {@link listen} opens the ports of a listener, turns away who is blocked or too many, reads the PROXY header of trusted
 * proxies, shakes hands where TLS comes first, and hands a `ServerConnection` to the session. {@link connect} opens a
 * `ClientConnection` and shows the certificates of the server after STARTTLS. {@link createCertificateStore} holds the
 * certificates of this server and changes them without a restart.
 *
 * Plain bytes go straight through the runtime's socket. TLS runs in node's `TLSSocket` on both sides, over the same
 * socket: `Deno.startTls` knows only the client's side, and `Deno.TlsConn` tells neither version nor suite, which the
 * Received header names. That costs two to three times the processor time of `Deno.listenTls` for a handshake, and next to
 * nothing per byte. Versions 1.2 and 1.3 are all there is, and the client's order of suites always decides.
 *
 * @module
 */

export { type ClientTlsOptions, type ClientTlsResult, nodeTlsOptions } from "./client_tls.ts";
export type { Connection, Endpoint, ServerConnection, TlsInfo } from "./connection.ts";
export type { CertificateStore, ChallengeCertificates, ServerCertificate } from "./certificates.ts";
export { type CertificateEnd, certificateEnd } from "./certificate_expiry.ts";
export { CertificateError, createCertificateStore, loadCertificate } from "./certificates.ts";
export { CIPHER_SETTINGS } from "./cipher_suites.ts";
export { type ClientConnection, connect, ConnectError, type ConnectFailure, type ConnectOptions } from "./connect.ts";
export { canonicalIp, formatEndpoint, networkContains, networkSet, parseNetwork } from "./ip.ts";
export { handshakeProves } from "./key_proof.ts";
export { listen } from "./listener.ts";
export type { Listener, ListenOptions, Refusal, RefusalReason } from "./listener.ts";
export { BindError, CAN_REUSE_PORT } from "./open_port.ts";
export { TlsHandshakeError } from "./server_tls.ts";
export { createTlsMemory, type TlsMemory } from "./tls_memory.ts";
