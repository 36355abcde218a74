/** Builds `acme.*`: certificates that are ordered from an authority. */

import type {
  AcmeChallengeConfig,
  AcmeConfig,
  CertificateConfig,
  DnsProviderConfig,
  ListenerConfig,
} from "../config.ts";
import { parseHost } from "../syntax.ts";
import { isSecret } from "../toml/node.ts";
import { absolutePath, type BuildContext } from "./context.ts";

/** Builds all of them. */
export function buildAcme(context: BuildContext, certificates: readonly CertificateConfig[]): readonly AcmeConfig[] {
  const { reader } = context;
  const built = reader.names("acme").map((id) => buildOne(context, id));
  const marked = [...certificates, ...built].filter((one) => one.default);
  for (const [index, { id, directory, domains }] of built.entries()) {
    // They would be one certificate, ordered by both.
    const twin = built.slice(0, index).find((one) =>
      one.directory === directory && one.domains.toSorted().join() === domains.toSorted().join()
    );
    if (twin !== undefined && domains.length > 0) {
      reader.error("acme.<id>.domains", [id], `acme.${twin.id} orders a certificate for these names there already`);
    }
    if (certificates.some((certificate) => certificate.id === id)) {
      reader.error("acme.<id>.domains", [id], `there is a certificate.${id} too; give one of them another id`);
    }
    if (marked.slice(1).some((one) => one.id === id)) {
      reader.error(
        "acme.<id>.default",
        [id],
        `only one certificate can be the default, and '${marked[0]?.id}' is it already`,
      );
    }
  }
  return built;
}

function buildOne(context: BuildContext, id: string): AcmeConfig {
  const { reader } = context;
  const directory = reader.get("acme.<id>.directory", id);
  if (URL.canParse(directory) && new URL(directory).protocol === "http:") {
    reader.warning("acme.<id>.directory", [id], "is not https: whoever is on the way can issue what it likes");
  }
  const domains = readDomains(context, id);
  const renewBefore = reader.get("acme.<id>.renew-before", id);
  if (renewBefore === 0) {
    reader.error("acme.<id>.renew-before", [id], "expected a time such as 30d, found 0: it would expire beforehand");
  }
  const challenge = buildChallenge(context, id);
  const wildcard = domains.find((domain) => domain.startsWith("*."));
  if (wildcard !== undefined && challenge.kind !== "dns-01") {
    reader.error(
      "acme.<id>.domains",
      [id],
      `${shown(context, "acme.<id>.domains", id, wildcard)} can be proved by dns-01 only, not by ${challenge.kind}`,
    );
  }
  return {
    id,
    directory,
    contacts: readContacts(context, id),
    domains,
    cache: absolutePath(context, reader.get("acme.<id>.cache", id)),
    renewBefore,
    default: reader.get("acme.<id>.default", id),
    eab: readBinding(context, id),
    challenge,
  };
}

/** An item of a list, as it may stand in a message: what a macro gave is never shown. */
function shown({ reader }: BuildContext, pattern: "acme.<id>.domains" | "acme.<id>.contact", id: string, text: string) {
  const node = reader.node(pattern, id);
  return node === undefined || isSecret(node) ? "one of them" : `'${text}'`;
}

function readDomains(context: BuildContext, id: string): string[] {
  const { reader } = context;
  const pattern = "acme.<id>.domains";
  const written = reader.get(pattern, id);
  if (written.length === 0 && reader.isSet(pattern, id)) reader.error(pattern, [id], "names no domain");
  const domains: string[] = [];
  for (const text of written) {
    const prefix = text.startsWith("*.") ? "*." : "";
    const domain = parseHost(text.slice(prefix.length));
    if (domain === undefined || !/^[^:]+\.[^:\d][^:.]*$/.test(domain)) {
      reader.error(
        pattern,
        [id],
        `expected names such as mx.example.net or *.example.net; ${shown(context, pattern, id, text)} is none`,
      );
    } else if (!domains.includes(prefix + domain)) domains.push(prefix + domain);
  }
  return domains;
}

/** RFC 8555 §7.1.2: URLs; authorities take `mailto:` with one address (§7.3). */
function readContacts(context: BuildContext, id: string): string[] {
  const { reader } = context;
  const pattern = "acme.<id>.contact";
  const written = reader.get(pattern, id);
  if (written.length === 0 && reader.isSet(pattern, id)) reader.error(pattern, [id], "names no address");
  return written.map((text) => {
    const address = text.replace(/^mailto:/i, "");
    if (!/^[^\s@,?]+@[^\s@,?]+$/.test(address)) {
      reader.error(
        pattern,
        [id],
        `expected e-mail addresses such as postmaster@example.net; ${shown(context, pattern, id, text)} is none`,
      );
    }
    return `mailto:${address}`;
  });
}

function readBinding({ reader }: BuildContext, id: string): AcmeConfig["eab"] {
  const kid = reader.get("acme.<id>.eab.kid", id);
  const hmacKey = reader.get("acme.<id>.eab.hmac-key", id);
  if (kid === undefined && hmacKey === undefined) return undefined;
  if (kid === undefined || hmacKey === undefined) {
    const [set, missing] = kid === undefined ? ["hmac-key", "kid"] as const : ["kid", "hmac-key"] as const;
    reader.error(`acme.<id>.eab.${set}`, [id], `needs acme.${id}.eab.${missing} beside it`);
    return undefined;
  }
  // Authorities give it in either alphabet.
  const key = hmacKey.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  if (!isBase64(key, "base64url")) {
    reader.error("acme.<id>.eab.hmac-key", [id], "expected the key in base64, as the authority gives it");
  }
  return { kid, hmacKey: key };
}

/** RFC 2181 §8: 31 bits of seconds. */
const LONGEST_TTL = (2 ** 31 - 1) * 1000;

function buildChallenge(context: BuildContext, id: string): AcmeChallengeConfig {
  const { reader } = context;
  const kind = reader.get("acme.<id>.challenge", id);
  if (kind !== "dns-01") return { kind };
  const pollingInterval = reader.get("acme.<id>.polling-interval", id);
  if (pollingInterval < 1000) {
    reader.error(
      "acme.<id>.polling-interval",
      [id],
      `expected 1s or more, found ${reader.found("acme.<id>.polling-interval", id)}`,
    );
  }
  const ttl = reader.get("acme.<id>.ttl", id);
  if (ttl > LONGEST_TTL) {
    reader.error("acme.<id>.ttl", [id], `expected 24855d or less, found ${reader.found("acme.<id>.ttl", id)}`);
  }
  const origin = reader.get("acme.<id>.origin", id);
  const zone = origin === undefined ? undefined : parseHost(origin);
  if (origin !== undefined && zone === undefined) {
    reader.error("acme.<id>.origin", [id], "expected a zone such as example.net");
  }
  return {
    kind,
    pollingInterval,
    propagationTimeout: reader.get("acme.<id>.propagation-timeout", id),
    ttl,
    origin: zone,
    provider: buildProvider(context, id),
  };
}

function buildProvider({ reader }: BuildContext, id: string): DnsProviderConfig {
  const kind = reader.get("acme.<id>.provider", id);
  const secret = reader.get("acme.<id>.secret", id);
  if (kind === "cloudflare") {
    const email = reader.get("acme.<id>.email", id);
    return { kind, secret, email, timeout: reader.get("acme.<id>.timeout", id) };
  }
  const host = reader.get("acme.<id>.host", id);
  const key = reader.get("acme.<id>.key", id);
  const algorithm = reader.get("acme.<id>.tsig-algorithm", id);
  if (host === undefined) {
    reader.error("acme.<id>.host", [id], "required for rfc2136-tsig: expected the name server that takes updates");
  }
  if (key === undefined) {
    reader.error("acme.<id>.key", [id], "required for rfc2136-tsig: expected the name of the key");
  } else if (!isKeyName(key)) {
    reader.error(
      "acme.<id>.key",
      [id],
      "expected the name of the key as the name server has it, which is a domain name such as acme-key",
    );
  }
  if (secret !== "" && !isBase64(secret, "base64")) {
    reader.error("acme.<id>.secret", [id], "expected the secret of the key in base64, as the name server has it");
  }
  if (algorithm === "gss") {
    reader.error(
      "acme.<id>.tsig-algorithm",
      [id],
      "gss needs Kerberos, which godwit does not speak; give it a key of its own, such as one of hmac-sha256",
    );
  }
  return {
    kind,
    host: host ?? "",
    port: reader.get("acme.<id>.port", id),
    protocol: reader.get("acme.<id>.protocol", id),
    key: (key ?? "").toLowerCase().replace(/\.$/, ""),
    secret,
    algorithm: algorithm === "gss" ? "hmac-sha256" : algorithm,
  };
}

/** RFC 8945 §4.2: a domain name, of labels with up to 63 octets. */
function isKeyName(text: string): boolean {
  const name = text.replace(/\.$/, "");
  return name.length <= 253 && name.split(".").every((label) => /^[!-~]{1,63}$/.test(label));
}

function isBase64(text: string, alphabet: "base64" | "base64url"): boolean {
  try {
    return Uint8Array.fromBase64(text, { alphabet }).length > 0;
  } catch {
    return false;
  }
}

/** Where authorities connect to. */
const CHALLENGE_PORTS = { "http-01": 80, "tls-alpn-01": 443 } as const;

/** Warns where nobody would answer an authority. */
export function checkChallenges(
  { reader }: BuildContext,
  acme: readonly AcmeConfig[],
  listeners: readonly ListenerConfig[],
): void {
  for (const { id, challenge: { kind } } of acme) {
    if (kind === "dns-01") continue;
    const port = CHALLENGE_PORTS[kind];
    const able = listeners.filter(({ protocol, tls }) =>
      kind === "http-01" ? protocol === "http" && !tls.implicit : tls.implicit
    );
    const needed = kind === "http-01"
      ? `http-01 is answered by HTTP listeners without TLS on port ${port}`
      : `tls-alpn-01 is answered by listeners with tls.implicit on port ${port}`;
    if (able.length === 0) {
      reader.warning("acme.<id>.challenge", [id], `${needed}, and there is none: no certificate will be issued`);
    } else if (!able.some(({ bind }) => bind.some((one) => one.port === port))) {
      const names = able.map((listener) => `'${listener.id}'`).join(", ");
      reader.warning("acme.<id>.challenge", [id], `${needed}; something has to pass connections on to ${names}`);
    }
  }
}
