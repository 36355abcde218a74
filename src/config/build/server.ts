/** Builds `server.*`: listeners with their sockets and TLS. */

import { suggestion } from "../../expression/mod.ts";
import type { AcmeConfig, CertificateConfig, ListenerConfig, Network, ServerConfig } from "../config.ts";
import type { Pattern } from "../schema/mod.ts";
import { SUITES } from "../schema/server.ts";
import { parseHostname } from "../syntax.ts";
import { isSecret } from "../toml/node.ts";
import { keyKindOf } from "./certificate.ts";
import type { BuildContext } from "./context.ts";
import { buildAutoBan } from "./limits.ts";

type Protocol = ListenerConfig["protocol"];

/** Usual ports by protocol: in plain text and with TLS from the first byte. */
const USUAL_PORTS: Readonly<Record<Protocol, readonly [plain: number, implicit: number]>> = {
  smtp: [25, 465],
  lmtp: [24, 24],
  http: [80, 443],
};

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

function versionOf(suite: typeof SUITES[number]): typeof VERSIONS[number] {
  return suite.startsWith("TLS13_") ? "TLSv1.3" : "TLSv1.2";
}

const LOOPBACK: readonly Network[] = [{ address: "127.0.0.1", prefix: 32 }, { address: "::1", prefix: 128 }];

export function buildServer(
  context: BuildContext,
  certificates: readonly CertificateConfig[],
  acme: readonly AcmeConfig[],
): ServerConfig {
  const { reader } = context;
  if (!reader.isSet("server.hostname") && parseHostname(context.systemHostname) === undefined) {
    reader.error("server.hostname", [], "required: the machine has no host name that could serve as default");
  }
  checkSocketOptions(context);
  const listeners = reader.names("server.listener")
    .map((id) => buildListener(context, id))
    .filter((listener) => listener !== undefined);
  if (listeners.length === 0) {
    context.problems.warning(["server", "listener"], 0, "no listener is defined, so no mail will be accepted");
  }
  checkBinds(context, listeners);
  for (const listener of listeners) {
    checkTls(context, listener, certificates, acme);
    if (listener.protocol === "http") checkHttp(context, listener);
  }
  const allowedIp = reader.get("server.allowed-ip");
  return {
    hostname: reader.get("server.hostname"),
    maxConnections: reader.get("server.max-connections"),
    threadPool: reader.get("global.thread-pool"),
    listeners,
    blockedIp: reader.get("server.blocked-ip"),
    // The loopback addresses always belong.
    allowedIp: [...allowedIp, ...LOOPBACK.filter((own) => !allowedIp.some((one) => one.address === own.address))],
    autoBan: buildAutoBan(context),
  };
}

function buildListener({ reader }: BuildContext, id: string): ListenerConfig | undefined {
  const protocol = reader.get("server.listener.<id>.protocol", id);
  if (protocol === "imap" || protocol === "pop3" || protocol === "managesieve") {
    reader.warning(
      "server.listener.<id>.protocol",
      [id],
      `listeners for ${protocol} are not part of godwit; this one is not opened`,
    );
    return undefined;
  }
  const enable = reader.get("server.listener.<id>.tls.enable", id);
  const asked = reader.isSet("server.listener.<id>.tls.implicit", id) &&
    reader.get("server.listener.<id>.tls.implicit", id);
  if (asked && !enable) {
    reader.error(
      "server.listener.<id>.tls.implicit",
      [id],
      `listener '${id}' cannot speak TLS from the first byte while its tls.enable is false; change one of them`,
    );
  }
  const implicit = enable && reader.get("server.listener.<id>.tls.implicit", id);
  return {
    id,
    protocol,
    bind: reader.get("server.listener.<id>.bind", id).map(({ ip, port }) => ({
      ip,
      port: port ?? USUAL_PORTS[protocol][implicit ? 1 : 0],
    })),
    maxConnections: reader.get("server.listener.<id>.max-connections", id),
    greeting: reader.get("server.listener.<id>.greeting", id),
    tls: {
      enable,
      implicit,
      timeout: reader.get("server.listener.<id>.tls.timeout", id),
      disableProtocols: reader.get("server.listener.<id>.tls.disable-protocols", id),
      disableCiphers: reader.get("server.listener.<id>.tls.disable-ciphers", id),
      ignoreClientOrder: reader.get("server.listener.<id>.tls.ignore-client-order", id),
      certificate: reader.get("server.listener.<id>.tls.certificate", id),
    },
    socket: {
      reuseAddr: reader.get("server.listener.<id>.socket.reuse-addr", id),
      reusePort: reader.get("server.listener.<id>.socket.reuse-port", id),
      backlog: reader.get("server.listener.<id>.socket.backlog", id),
      nodelay: reader.get("server.listener.<id>.socket.nodelay", id),
    },
    proxyTrustedNetworks: reader.get("server.listener.<id>.proxy.trusted-networks", id),
  };
}

/** What the runtime cannot do is accepted with a load warning. */
function checkSocketOptions({ reader }: BuildContext): void {
  const advise = (pattern: Pattern, ids: readonly string[], message: string) => {
    if (reader.isSet(pattern, ...ids)) reader.warning(pattern, ids, message);
  };
  const refused =
    "the runtime leaves the choice to the client: one whose first choice is a suite named here is refused, " +
    "in TLS 1.3 and, if its first choice there is named too, in TLS 1.2";
  const order = "the runtime always follows the client's order";
  const warn = (pattern: Pattern, ids: readonly string[]) => {
    if (reader.isSet(pattern, ...ids)) reader.warning(pattern, ids, "the runtime cannot set this option of a socket");
  };
  const listeners = reader.names("server.listener");
  advise("server.tls.disable-ciphers", [], refused);
  advise("server.tls.ignore-client-order", [], order);
  for (const id of listeners) {
    advise("server.listener.<id>.tls.disable-ciphers", [id], refused);
    advise("server.listener.<id>.tls.ignore-client-order", [id], order);
  }
  for (const option of ["ttl", "tos", "send-buffer-size", "recv-buffer-size", "linger"] as const) {
    warn(`server.socket.${option}`, []);
    for (const id of listeners) warn(`server.listener.<id>.socket.${option}`, [id]);
  }
  if (reader.isSet("server.socket.reuse-addr") && !reader.get("server.socket.reuse-addr")) {
    warn("server.socket.reuse-addr", []);
  }
  for (const id of listeners) {
    const pattern = "server.listener.<id>.socket.reuse-addr";
    if (reader.isSet(pattern, id) && !reader.get(pattern, id)) warn(pattern, [id]);
  }
}

function checkBinds({ reader }: BuildContext, listeners: readonly ListenerConfig[]): void {
  const takenBy = new Map<string, string>();
  for (const { id, bind } of listeners) {
    const written = reader.node("server.listener.<id>.bind", id);
    if (written?.kind === "array" && written.items.length === 0) {
      reader.error("server.listener.<id>.bind", [id], 'no address is listed; write one such as "[::]:25"');
    }
    for (const { ip, port } of bind) {
      // Port 0 is any free port, so it is never taken.
      if (port === 0) continue;
      const address = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
      const other = takenBy.get(address);
      const node = reader.node("server.listener.<id>.bind", id);
      const shown = node === undefined || isSecret(node) ? "an address" : address;
      if (other === undefined) takenBy.set(address, id);
      else if (other === id) reader.error("server.listener.<id>.bind", [id], `${shown} is listed twice`);
      else reader.error("server.listener.<id>.bind", [id], `${shown} is taken by listener '${other}' already`);
    }
  }
}

function checkTls(
  context: BuildContext,
  listener: ListenerConfig,
  certificates: readonly CertificateConfig[],
  acme: readonly AcmeConfig[],
): void {
  const { reader } = context;
  const { id, tls } = listener;
  const ids = [...certificates, ...acme].map((certificate) => certificate.id);
  if (tls.implicit && ids.length === 0) {
    reader.error(
      "server.listener.<id>.tls.implicit",
      [id],
      `listener '${id}' speaks TLS from the first byte, which needs a certificate; define one as certificate.<id> or acme.<id>`,
    );
  }
  if (tls.certificate !== undefined && tls.certificate !== "" && !ids.includes(tls.certificate)) {
    const pattern = reader.isSet("server.listener.<id>.tls.certificate", id)
      ? "server.listener.<id>.tls.certificate"
      : "server.tls.certificate";
    const hint = suggestion(tls.certificate, ids);
    reader.error(
      pattern,
      [id],
      `there is no certificate with the id ${reader.found(pattern, id)}${hint}`,
    );
  }
  if (tls.enable) {
    const versions = VERSIONS.filter((version) => !tls.disableProtocols.includes(version));
    const left = SUITES.filter((suite) => versions.includes(versionOf(suite)) && !tls.disableCiphers.includes(suite));
    // Offered all the same, TLS would fail with every client.
    if (left.length === 0) {
      const [what, key] = versions.length === 0
        ? ["version", "disable-protocols"] as const
        : ["cipher suite", "disable-ciphers"] as const;
      reader.error(
        `server.listener.<id>.tls.${key}`,
        [id],
        `no ${what} of TLS is left; to offer no TLS set tls.enable = false`,
      );
    } else if (listener.protocol !== "http" || tls.implicit) checkSuites(context, listener, certificates, left);
  }
}

/** Suites of TLS 1.2 are for one kind of key, so what is left may be of no use to a certificate. */
function checkSuites(
  { reader }: BuildContext,
  { id, tls }: ListenerConfig,
  certificates: readonly CertificateConfig[],
  left: readonly (typeof SUITES[number])[],
): void {
  if (left.some((suite) => versionOf(suite) === "TLSv1.3")) return;
  const usual = certificates.find((one) => one.id === tls.certificate) ??
    certificates.find((one) => one.default) ?? certificates[0];
  for (const certificate of certificates) {
    const kind = keyKindOf(certificate);
    if (kind === undefined || left.some((suite) => suite.includes(`_${kind}_`))) continue;
    const text = `no suite of TLS is left for the certificate '${certificate.id}', whose key is for ${kind}`;
    const pattern = "server.listener.<id>.tls.disable-ciphers";
    // Clients that send no name, or one that nobody has, get the usual one: most of those that bring mail.
    if (certificate === usual) reader.error(pattern, [id], `${text}; to offer no TLS set tls.enable = false`);
    else reader.warning(pattern, [id], `${text}, so listener '${id}' refuses TLS to clients that ask for its names`);
  }
}

/** HTTP listeners without TLS run on the runtime's own server, which leaves less to say than those of mail. */
function checkHttp({ reader }: BuildContext, { id, tls, socket, proxyTrustedNetworks }: ListenerConfig): void {
  if (!socket.nodelay) {
    const message = `the HTTP listener '${id}' sends small packets without delay, whatever is set`;
    const own = reader.isSet("server.listener.<id>.socket.nodelay", id);
    if (own) reader.warning("server.listener.<id>.socket.nodelay", [id], message);
    else reader.warning("server.socket.nodelay", [], message);
  }
  if (proxyTrustedNetworks.length > 0) {
    if (reader.get("http.use-x-forwarded")) {
      reader.error(
        "http.use-x-forwarded",
        [],
        `cannot be used together with the PROXY protocol, which listener '${id}' expects`,
      );
    }
    const pattern = "server.listener.<id>.proxy.trusted-networks";
    if (tls.implicit) return;
    if (reader.isSet(pattern, id)) {
      reader.error(pattern, [id], "is not supported yet on HTTP listeners without TLS, which read no PROXY header");
    } else {
      reader.warning(
        "server.proxy.trusted-networks",
        [],
        `the HTTP listener '${id}' reads no PROXY header, so it has no answer for proxies that send one`,
      );
    }
  }
}
