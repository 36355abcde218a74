/** Builds a whole {@link Config} out of what the file says. */

import type { DefinedIds, Definition } from "../schema/setting_shape.ts";
import type { Config, StoreConfig } from "../config.ts";
import { buildAcme, checkChallenges } from "./acme.ts";
import { buildCertificates } from "./certificate.ts";
import type { BuildContext } from "./context.ts";
import { buildDirectories } from "./directory.ts";
import { buildHooks, buildMilters } from "./filter.ts";
import { buildHttpLookups, buildInboundLimiters, buildOutboundLimiters, buildQuotas } from "./limits.ts";
import { buildMtaSts } from "./mta_sts.ts";
import { buildQueueDefinitions, buildStrategies, BUILT_IN_IDS, checkNotices, schedulingOf } from "./queue.ts";
import { buildReport } from "./report.ts";
import { buildResolver } from "./resolver.ts";
import { buildServer } from "./server.ts";
import { buildSession } from "./session.ts";
import { buildSieve } from "./sieve.ts";
import { buildSignatures, buildSigning } from "./signature.ts";
import { buildLookups, buildStorage, buildStores } from "./store.ts";
import { buildDisabledEvents, buildEventLevels, buildHttp, buildTracers } from "./telemetry.ts";

/**
 * Builds the configuration. Problems are reported through the context; after errors the result is of no use.
 *
 * @param file absolute path of the file, `""` if there is none
 */
export function buildConfig(context: BuildContext, file: string): Config {
  const { reader } = context;
  const certificates = buildCertificates(context);
  const acme = buildAcme(context, certificates);
  const stores = buildStores(context);
  const directories = buildDirectories(context, stores);
  // Expressions name what is defined, so all of that comes first.
  const environment = environmentOf(context, stores);
  reader.define({ defined: definedIds(context), environment });
  const server = buildServer(context, certificates, acme);
  checkChallenges(context, acme, server.listeners);
  const definitions = buildQueueDefinitions(context);
  checkNotices(context, definitions.schedule);
  const config: Config = {
    file,
    server,
    certificates,
    acme,
    session: buildSession(context),
    mtaSts: buildMtaSts(context),
    signing: buildSigning(context, buildSignatures(context)),
    sieve: buildSieve(context, { ...environment, configGet: reader.configGet }),
    milters: buildMilters(context),
    hooks: buildHooks(context),
    queue: {
      scheduling: schedulingOf(context, definitions.schedule),
      strategy: buildStrategies(context),
      ...definitions,
      outboundLimiters: buildOutboundLimiters(context),
      quotas: buildQuotas(context),
    },
    inboundLimiters: buildInboundLimiters(context, environment),
    report: buildReport(context),
    resolver: buildResolver(context),
    stores,
    storage: buildStorage(context, stores),
    lookups: buildLookups(context),
    httpLookups: buildHttpLookups(context),
    directories,
    cluster: buildCluster(context),
    tracers: buildTracers(context),
    eventLevels: buildEventLevels(context),
    disabledMetricEvents: buildDisabledEvents(context),
    http: buildHttp(context),
    environment: { ...environment, configGet: reader.configGet },
    place: reader.place,
  };
  reader.readRest();
  return config;
}

/** A shorter lease could run out between two renewals. */
const SHORTEST_LEASE = 1_000;

function buildCluster({ reader, systemHostname }: BuildContext): Config["cluster"] {
  if (!reader.isSet("cluster.node-id") && systemHostname === "") {
    reader.error("cluster.node-id", [], "required: the machine has no host name that could serve as default");
  }
  const lease = reader.get("cluster.lease");
  if (lease < SHORTEST_LEASE && reader.isSet("cluster.lease")) {
    reader.error("cluster.lease", [], `expected a duration of 1s or more, found ${reader.found("cluster.lease")}`);
  }
  return { nodeId: reader.get("cluster.node-id"), lease };
}

const SECTIONS: Readonly<Record<Definition, string>> = {
  directory: "directory",
  script: "sieve.trusted.scripts",
  signature: "signature",
  seal: "signature",
  route: "queue.route",
  schedule: "queue.schedule",
  connection: "queue.connection",
  "tls policy": "queue.tls",
};

function definedIds({ reader }: BuildContext): DefinedIds {
  const builtIn: Readonly<Partial<Record<Definition, readonly string[]>>> = BUILT_IN_IDS;
  return (what) => [...new Set([...reader.names(SECTIONS[what]), ...builtIn[what] ?? []])];
}

function environmentOf({ reader }: BuildContext, stores: ReadonlyMap<string, StoreConfig>) {
  const writable = [...stores.values()].filter((store) => store.type === "libsql");
  return {
    directories: reader.names("directory"),
    stores: [...stores.keys()],
    writableStores: writable.map((store) => store.id),
    lists: [
      ...reader.names("lookup"),
      ...reader.names("http-lookup"),
      ...writable.flatMap((store) => Object.keys(store.queries).map((name) => `${store.id}/${name}`)),
    ],
  };
}
