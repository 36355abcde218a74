/** What a finished handshake has agreed on. */

import type { TLSSocket } from "node:tls";
import { cipherBits } from "./cipher_suites.ts";
import type { TlsInfo } from "./connection.ts";

/** @returns `undefined` if the handshake has not come to its end */
export function tlsInfo(socket: TLSSocket, serverName: string | undefined): TlsInfo | undefined {
  const version = socket.getProtocol();
  if (version === null) return undefined;
  const cipher = socket.getCipher().standardName;
  return {
    version,
    cipher,
    cipherBits: cipherBits(cipher),
    ...(serverName === undefined ? {} : { serverName }),
  };
}
