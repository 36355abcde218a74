/** Builds a whole {@link Config} out of what the file says. */

import type { DefinedIds, Definition } from "../schema/setting_shape.ts";
import type { Config, StoreConfig } from "../config.ts";
import { buildCertificates } from "./certificate.ts";
import type { BuildContext } from "./context.ts";
import { buildDirectories } from "./directory.ts";
import { buildQueueDefinitions, buildStrategies, BUILT_IN_IDS, checkNotices } from "./queue.ts";
import { buildResolver } from "./resolver.ts";
import { buildServer } from "./server.ts";
import { buildSession } from "./session.ts";
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
  const stores = buildStores(context);
  const directories = buildDirectories(context);
  // Expressions name what is defined, so all of that comes first.
  reader.define({ defined: definedIds(context), environment: environmentOf(context, stores) });
  const server = buildServer(context, certificates);
  const definitions = buildQueueDefinitions(context);
  checkNotices(context, definitions.schedule);
  const config: Config = {
    file,
    server,
    certificates,
    session: buildSession(context),
    queue: { strategy: buildStrategies(context), ...definitions },
    report: {
      domain: reader.get("report.domain"),
      submitter: reader.get("report.submitter"),
      dsn: { fromName: reader.get("report.dsn.from-name"), fromAddress: reader.get("report.dsn.from-address") },
    },
    resolver: buildResolver(context),
    stores,
    storage: buildStorage(context, stores),
    lookups: buildLookups(context),
    directories,
    cluster: { nodeId: reader.get("cluster.node-id"), lease: reader.get("cluster.lease") },
    tracers: buildTracers(context),
    eventLevels: buildEventLevels(context),
    disabledMetricEvents: buildDisabledEvents(context),
    http: buildHttp(context),
  };
  reader.readRest();
  return config;
}

const SECTIONS: Readonly<Record<Definition, string>> = {
  directory: "directory",
  script: "sieve.trusted.scripts",
  signature: "signature",
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
