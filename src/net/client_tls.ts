/** The client's side of a TLS handshake, with the peer's certificates laid open. */

import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { Clock } from "../clock/mod.ts";
import { type ByteStream, nodeByteStream } from "./byte_stream.ts";
import type { GatedDuplex } from "./socket_duplex.ts";
import type { TlsInfo } from "./connection.ts";
import { tlsInfo } from "./tls_info.ts";
import type { TlsMemory } from "./tls_memory.ts";
import { explainFault, type Trust, trustIn, verifyPeer } from "./trust.ts";

/** How to shake hands and what to ask of the certificate. */
export interface ClientTlsOptions {
  /** Name for SNI, and the one the certificate must bear when verified. */
  readonly serverName: string;
  /**
   * `pki`: the chain must lead to a trusted root and bear the name; `none`: nothing is checked. Neither ends the
   * connection: look at {@link ClientTlsResult.authorized}.
   */
  readonly verify: "none" | "pki";
  /** Milliseconds for the handshake. */
  readonly timeout: number;
  /** Protocols for ALPN, best first. */
  readonly alpn?: readonly string[] | undefined;
  /** Further roots in PEM, beside the system's and those of the environment. */
  readonly ca?: readonly string[] | undefined;
  /**
   * Earlier handshakes, whose sessions may be resumed and whose checks of certificates count. Without it every handshake
   * is a full one and every certificate is verified.
   */
  readonly memory?: TlsMemory | undefined;
  /** Takes nothing from {@link memory}: how things are now. */
  readonly fresh?: boolean | undefined;
}

/** What the handshake showed. */
export interface ClientTlsResult extends TlsInfo {
  /** Whether the certificate was asked to verify and does. */
  readonly authorized: boolean;
  /** Why it does not verify: OpenSSL's name of the fault, or `ERR_TLS_CERT_ALTNAME_INVALID` for a wrong name. */
  readonly authorizationError?: string;
  /** The certificates the server sent, its own first, in DER. */
  readonly peerCertificates: readonly Uint8Array[];
  /** Whether a session was resumed; the certificates are then those of the handshake that it is from. */
  readonly resumed: boolean;
  /** What is wrong may be so for what is remembered alone; a `fresh` handshake shows. */
  readonly remembered: boolean;
  /** Protocol agreed on by ALPN. */
  readonly alpn?: string;
}

/** Connections that share this context can resume each other's sessions; what it says of certificates is not used. */
let sharedContext: SecureContext | undefined;

/**
 * Shakes hands over `transport`, which belongs to the returned stream from then on.
 *
 * @throws {Error} if the peers do not come to terms; `TimeoutError` by name if it takes too long
 */
export function clientHandshake(
  transport: GatedDuplex,
  clock: Clock,
  options: ClientTlsOptions,
): Promise<{ stream: ByteStream; result: ClientTlsResult }> {
  const { serverName, verify, timeout, alpn, ca } = options;
  const trust = trustIn(ca);
  const memory = isIP(serverName) === 0 ? options.memory : undefined;
  // Where nothing is to be verified the shared context can be used at once. A fresh handshake has one of its own: then
  // there is nothing that it could resume, whatever the runtime thinks of that.
  const shares = memory !== undefined && options.fresh !== true &&
    (verify === "none" || memory.knows(serverName, trust.name));
  const session = shares ? memory.session(serverName) : undefined;
  return new Promise((resolve, reject) => {
    const secure = connectTls({
      socket: transport,
      secureContext: shares ? sharedContext ??= createSecureContext() : trust.context,
      ...(session === undefined ? {} : { session: Buffer.from(session) }),
      // RFC 6066 §3: an address is not a name and is not sent.
      servername: isIP(serverName) ? "" : serverName,
      // The certificate is judged below, where all of it can be seen.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    });
    if (shares) secure.once("session", (ticket) => memory.keepSession(serverName, ticket));
    const fail = (error: Error) => {
      timer.cancel();
      reject(error);
      if (!secure.destroyed) secure.destroy(error);
      transport.destroy();
    };
    const timer = clock.after(timeout, () => {
      const error = new Error(`the handshake took longer than ${timeout / 1000} s`);
      error.name = "TimeoutError";
      fail(error);
    });
    // The end of the stream alone would leave the handshake waiting.
    const onLeft = () => fail(new Error("the server left during the handshake"));
    // Both stay: an error after the end of the handshake is the stream's to report, and must not be unheard.
    transport.on("error", fail);
    secure.on("error", fail);
    secure.once("close", onLeft);
    transport.once("end", onLeft);
    secure.once("secureConnect", () => {
      timer.cancel();
      secure.off("close", onLeft);
      transport.off("end", onLeft);
      const agreed = tlsInfo(secure, isIP(serverName) ? undefined : serverName);
      if (agreed === undefined) return fail(new Error("the runtime does not tell what was agreed"));
      const peer = secure.getPeerCertificate(true);
      const peerCertificates = sentCertificates(peer);
      const resumed = secure.isSessionReused();
      const [own] = peerCertificates;
      let fault: string | undefined;
      if (verify === "pki") {
        if (!shares) {
          const chain = certificatesIn(peerCertificates);
          fault = faultOf(secure, trust, peer, chain, serverName, clock);
          if (fault === undefined && own !== undefined) {
            memory?.verified(serverName, trust.name, own, firstExpiry(chain ?? []));
          }
        } else if (own === undefined || !memory.vouches(serverName, trust.name, own)) {
          fault = "CERT_REJECTED";
        }
      }
      resolve({
        stream: nodeByteStream(secure, clock, transport),
        result: {
          ...agreed,
          ...(own === undefined ? {} : namesOf(own)),
          authorized: verify === "pki" && fault === undefined,
          ...(fault === undefined ? {} : { authorizationError: fault }),
          peerCertificates,
          resumed,
          remembered: resumed || (shares && verify === "pki"),
          ...(typeof secure.alpnProtocol === "string" ? { alpn: secure.alpnProtocol } : {}),
        },
      });
    });
  });
}

/**
 * What node:tls needs to trust whom {@link clientHandshake} trusts, for a library that opens its connections itself. A
 * certificate that does not verify ends the handshake with an error that names the fault.
 */
export function nodeTlsOptions(options: Pick<ClientTlsOptions, "serverName" | "verify" | "ca">, clock: Clock) {
  const { serverName, verify, ca } = options;
  const servername = isIP(serverName) ? "" : serverName;
  if (verify === "none") return { servername, rejectUnauthorized: false, checkServerIdentity: () => undefined };
  const trust = trustIn(ca);
  return {
    servername,
    secureContext: trust.context,
    rejectUnauthorized: true,
    checkServerIdentity: (_: string, peer: PeerCertificate): Error | undefined => {
      // The runtime hands over the whole chain here, as getPeerCertificate(true) does.
      const chain = sentCertificates(peer as DetailedPeerCertificate).map((der) => new X509Certificate(der));
      const fault = verifyPeer(trust, chain, peer, serverName, clock.now());
      return fault === undefined ? undefined : new Error(fault);
    },
  };
}

function faultOf(
  secure: TLSSocket,
  trust: Trust,
  peer: DetailedPeerCertificate,
  chain: readonly X509Certificate[] | undefined,
  serverName: string,
  clock: Clock,
): string | undefined {
  // A certificate that cannot be read proves nothing.
  if (chain === undefined) return "CERT_REJECTED";
  try {
    return secure.authorized
      ? verifyPeer(trust, chain, peer, serverName, clock.now())
      : explainFault(faultName(secure.authorizationError), chain, clock.now());
  } catch {
    return "CERT_REJECTED";
  }
}

function certificatesIn(sent: readonly Uint8Array[]): readonly X509Certificate[] | undefined {
  try {
    return sent.map((der) => new X509Certificate(der));
  } catch {
    return undefined;
  }
}

function firstExpiry(chain: readonly X509Certificate[]): number {
  return Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
}

/** node gives the name of the fault, or an error that holds it. */
function faultName(fault: unknown): string {
  if (typeof fault === "string") return fault;
  if (fault instanceof Error) return "code" in fault && typeof fault.code === "string" ? fault.code : fault.message;
  return "CERT_REJECTED";
}

/** Most certificates of a chain that are looked at. */
const LONGEST_CHAIN = 16;

function sentCertificates(peer: DetailedPeerCertificate): Uint8Array[] {
  const sent: Uint8Array[] = [];
  let next: DetailedPeerCertificate | undefined = peer;
  while (next?.raw !== undefined && sent.length < LONGEST_CHAIN) {
    sent.push(new Uint8Array(next.raw));
    if (next.issuerCertificate === next) break;
    next = next.issuerCertificate;
  }
  return sent;
}

function namesOf(der: Uint8Array): { peerSubject?: string; peerIssuer?: string } {
  try {
    const { subject, issuer } = new X509Certificate(der);
    return { peerSubject: subject.replaceAll("\n", ", "), peerIssuer: issuer.replaceAll("\n", ", ") };
  } catch {
    return {};
  }
}
