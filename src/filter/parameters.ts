/** What filters are told of ESMTP parameters: every one that there is. */

import { NO_EXTENSIONS, type PeerExtensions } from "../smtp/mod.ts";

/** Who is told everything a client said. */
export const LISTENER: PeerExtensions = {
  ...NO_EXTENSIONS,
  eightBitMime: true,
  chunking: true,
  binarymime: true,
  smtputf8: true,
  dsn: true,
  requiretls: true,
  auth: ["PLAIN"],
  mtPriority: true,
  deliverBy: true,
  noSoliciting: true,
};
