/** Builds `session.milter.*` and `session.hook.*`. */

import type { HookConfig, MilterConfig } from "../filter.ts";
import { parseHost } from "../syntax.ts";
import type { BuildContext } from "./context.ts";

/** The milters in the order of the file. */
export function buildMilters(context: BuildContext): readonly MilterConfig[] {
  const { reader } = context;
  return reader.names("session.milter").map((id): MilterConfig => {
    const hostname = reader.get("session.milter.<id>.hostname", id);
    const isPath = hostname.startsWith("/");
    if (hostname !== "" && !isPath && parseHost(hostname.replace(/^\[(.*)\]$/, "$1")) === undefined) {
      reader.error(
        "session.milter.<id>.hostname",
        [id],
        `expected a host name, an address or the absolute path of a Unix socket, found ${
          reader.found("session.milter.<id>.hostname", id)
        }`,
      );
    }
    if (!isPath && !reader.isSet("session.milter.<id>.port", id)) {
      reader.error(
        "session.milter.<id>.port",
        [id],
        "required: expected an integer from 1 to 65535, found nothing (only a Unix socket, whose path stands in hostname, has no port)",
      );
    }
    const tls = reader.get("session.milter.<id>.tls", id);
    if (isPath && tls) {
      reader.error("session.milter.<id>.tls", [id], "a Unix socket has no TLS, expected false");
    }
    const version = reader.get("session.milter.<id>.options.version", id);
    if (version !== 2 && version !== 6) {
      reader.error("session.milter.<id>.options.version", [id], `expected 2 or 6, found ${version}`);
    }
    return {
      id,
      enable: reader.get("session.milter.<id>.enable", id),
      hostname,
      port: reader.get("session.milter.<id>.port", id) ?? 0,
      stages: new Set(reader.get("session.milter.<id>.stages", id)),
      tls,
      allowInvalidCerts: reader.get("session.milter.<id>.allow-invalid-certs", id),
      timeout: {
        connect: reader.get("session.milter.<id>.timeout.connect", id),
        command: reader.get("session.milter.<id>.timeout.command", id),
        data: reader.get("session.milter.<id>.timeout.data", id),
      },
      tempfailOnError: reader.get("session.milter.<id>.options.tempfail-on-error", id),
      maxResponseSize: reader.get("session.milter.<id>.options.max-response-size", id),
      version,
      flags: {
        actions: reader.get("session.milter.<id>.options.flags.actions", id) >>> 0,
        protocol: reader.get("session.milter.<id>.options.flags.protocol", id) >>> 0,
        fixed: reader.isSet("session.milter.<id>.options.flags.actions", id) ||
          reader.isSet("session.milter.<id>.options.flags.protocol", id),
      },
    };
  });
}

/** The hooks in the order of the file. */
export function buildHooks(context: BuildContext): readonly HookConfig[] {
  const { reader } = context;
  return reader.names("session.hook").map((id): HookConfig => {
    const username = reader.get("session.hook.<id>.auth.username", id);
    const secret = reader.get("session.hook.<id>.auth.secret", id);
    if (username === undefined && secret !== undefined) {
      reader.error("session.hook.<id>.auth.username", [id], "required where there is a secret");
    }
    // RFC 7617 §2: what stands behind the first colon is the password.
    if (username?.includes(":") === true) {
      reader.error("session.hook.<id>.auth.username", [id], 'expected text without ":"');
    }
    const url = reader.get("session.hook.<id>.url", id);
    if (URL.parse(url)?.username) {
      reader.error("session.hook.<id>.url", [id], "expected no login in it: that is auth.username and auth.secret");
    }
    return {
      id,
      enable: reader.get("session.hook.<id>.enable", id),
      url,
      stages: new Set(reader.get("session.hook.<id>.stages", id)),
      timeout: reader.get("session.hook.<id>.timeout", id),
      allowInvalidCerts: reader.get("session.hook.<id>.allow-invalid-certs", id),
      headers: reader.get("session.hook.<id>.headers", id).map((line): readonly [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
      }),
      auth: username === undefined ? undefined : { username, secret: secret ?? "" },
      tempfailOnError: reader.get("session.hook.<id>.options.tempfail-on-error", id),
      maxResponseSize: reader.get("session.hook.<id>.options.max-response-size", id),
    };
  });
}
