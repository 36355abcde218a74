/** ESMTP parameters between filters and this server: every one that there is. */

import { NO_EXTENSIONS, type Offered, type PeerExtensions } from "../smtp/mod.ts";

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

/** What a filter may say in parameters. */
export const EVERYTHING: Offered = {
  size: true,
  body: true,
  binarymime: true,
  smtputf8: true,
  dsn: true,
  auth: true,
  requiretls: true,
  futureRelease: true,
  deliverBy: true,
  mtPriority: true,
  solicit: true,
};
