/** Builds `signature.*`, `auth.dkim.sign` and `auth.arc.seal`: reads the keys and checks that they can sign. */

import type { KeyObject } from "node:crypto";
import { domainToAscii } from "../../smtp/mod.ts";
import type { SignatureAlgorithm, SignatureConfig, SigningConfig } from "../signing.ts";
import { isSecret, type Node, quoted } from "../toml/node.ts";
import type { BuildContext } from "./context.ts";
import { checkPermissions, readPem, readPrivateKey } from "./pem.ts";

/** Signatures by id. A signature that has been reported as wrong is left out. */
export function buildSignatures(context: BuildContext): ReadonlyMap<string, SignatureConfig> {
  const signatures = new Map<string, SignatureConfig>();
  for (const id of context.reader.names("signature")) {
    const signature = buildSignature(context, id);
    if (signature !== undefined) signatures.set(id, signature);
  }
  return signatures;
}

/** What accepted messages are signed with. Expressions must know what is defined. */
export function buildSigning(
  { reader }: BuildContext,
  signatures: ReadonlyMap<string, SignatureConfig>,
): SigningConfig {
  const seal = reader.node("auth.arc.seal");
  const id = seal?.kind === "scalar" ? String(seal.value).replace(/^'(.*)'$/, "$1") : "";
  const algorithm = signatures.get(id)?.algorithm;
  // RFC 8617 §4.1.2 has the algorithms of DKIM, but verifiers in use know this one only.
  if (algorithm !== undefined && algorithm !== "rsa-sha256") {
    reader.warning("auth.arc.seal", [], `hardly anybody can verify seals made with ${algorithm}; use rsa-sha256`);
  }
  return { signatures, sign: reader.get("auth.dkim.sign"), seal: reader.get("auth.arc.seal") };
}

const ALGORITHMS: Readonly<Record<string, SignatureAlgorithm>> = {
  "rsa-sha256": "rsa-sha256",
  "rsa-sha-256": "rsa-sha256",
  "rsa-sha1": "rsa-sha1",
  "rsa-sha-1": "rsa-sha1",
  "ed25519-sha256": "ed25519-sha256",
};

function buildSignature(context: BuildContext, id: string): SignatureConfig | undefined {
  const { reader } = context;
  const algorithm = ALGORITHMS[reader.get("signature.<id>.algorithm", id)] ?? "rsa-sha256";
  // What stands in for a wrong one says nothing about the key.
  const written = reader.node("signature.<id>.algorithm", id);
  const isKnown = written?.kind === "scalar" && Object.hasOwn(ALGORITHMS, String(written.value).toLowerCase());
  if (algorithm === "rsa-sha1") {
    reader.warning("signature.<id>.algorithm", [id], "rsa-sha1 is obsolete, receivers ignore it; use rsa-sha256");
  }
  const privateKey = readSigningKey(context, id, isKnown ? algorithm : undefined);
  const domain = readDomain(context, "signature.<id>.domain", id);
  const thirdParty = reader.isSet("signature.<id>.third-party", id)
    ? readDomain(context, "signature.<id>.third-party", id)
    : undefined;
  const canonicalization = reader.get("signature.<id>.canonicalization", id).split("/");
  const signature: Omit<SignatureConfig, "privateKey"> = {
    id,
    domain,
    selector: readSelector(context, id),
    algorithm,
    headers: readHeaders(context, id),
    canonicalization: {
      header: canonicalization[0] === "simple" ? "simple" : "relaxed",
      // RFC 6376 §3.5: one word alone is about the header, the body is then simple.
      body: canonicalization[1] === "relaxed" ? "relaxed" : "simple",
    },
    expire: readExpire(context, id),
    thirdParty: thirdParty === undefined
      ? undefined
      : { domain: thirdParty, hash: reader.get("signature.<id>.third-party-algo", id) ?? "none" },
    auid: readAuid(context, id, domain),
    setBodyLength: reader.get("signature.<id>.set-body-length", id),
    report: reader.get("signature.<id>.report", id),
  };
  if (signature.setBodyLength) {
    reader.warning(
      "signature.<id>.set-body-length",
      [id],
      "whoever gets the message can add to its body without breaking the signature (RFC 6376 §8.2)",
    );
  }
  if (reader.isSet("signature.<id>.third-party-algo", id) && thirdParty === undefined) {
    reader.warning("signature.<id>.third-party-algo", [id], "has no effect without 'third-party'");
  }
  return privateKey === undefined ? undefined : { ...signature, privateKey };
}

/** RFC 8301 §3.2: receivers do not accept shorter keys. */
const SHORTEST_RSA = 1024;
const ADVISED_RSA = 2048;

/** The key, held against what the algorithm needs; without one it is only read. */
function readSigningKey(
  context: BuildContext,
  id: string,
  algorithm: SignatureAlgorithm | undefined,
): KeyObject | undefined {
  const { reader } = context;
  const pattern = "signature.<id>.private-key";
  const pem = readPem(context, pattern, id);
  const key = pem === undefined ? undefined : readPrivateKey(context, pattern, id, pem);
  if (key === undefined) return undefined;
  checkPermissions(context, pattern, id);
  if (algorithm === undefined) return undefined;
  const wanted = algorithm === "ed25519-sha256" ? "ed25519" : "rsa";
  if (key.asymmetricKeyType !== wanted) {
    reader.error(pattern, [id], `${algorithm} needs a key of the kind ${wanted}, found ${key.asymmetricKeyType}`);
    return undefined;
  }
  if (wanted === "ed25519") return key;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < SHORTEST_RSA) {
    reader.error(pattern, [id], `expected an RSA key of at least ${SHORTEST_RSA} bits, found one of ${bits}`);
    return undefined;
  }
  if (bits < ADVISED_RSA) {
    reader.warning(pattern, [id], `the RSA key has ${bits} bits; ${ADVISED_RSA} or more are advised (RFC 8301)`);
  }
  return key;
}

function readDomain(
  { reader }: BuildContext,
  pattern: "signature.<id>.domain" | "signature.<id>.third-party",
  id: string,
): string {
  const domain = reader.get(pattern, id) ?? "";
  const ascii = domainToAscii(domain);
  if (domain !== "" && ascii === undefined) {
    reader.error(pattern, [id], `expected a domain such as example.net, found ${reader.found(pattern, id)}`);
  }
  return ascii ?? domain;
}

// RFC 6376 §3.1: labels with dots between them, each of 63 octets at most.
const SELECTOR = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/i;

function readSelector({ reader }: BuildContext, id: string): string {
  const pattern = "signature.<id>.selector";
  const selector = reader.get(pattern, id);
  if (selector !== "" && !SELECTOR.test(selector)) {
    const expected = "expected a selector such as mail2026: letters, digits and hyphens, in labels with dots between";
    reader.error(pattern, [id], `${expected}; found ${reader.found(pattern, id)}`);
  }
  return selector;
}

const FIELD_NAME = /^[!-9<-~]+$/;

function readHeaders({ reader }: BuildContext, id: string): readonly string[] {
  const pattern = "signature.<id>.headers";
  const headers = [...new Map(reader.get(pattern, id).map((name) => [name.toLowerCase(), name])).values()];
  const wrong = headers.find((name) => !FIELD_NAME.test(name));
  if (wrong !== undefined) {
    const node = reader.node(pattern, id);
    const found = node === undefined || isSecret(node) ? reader.found(pattern, id) : quoted(wrong);
    reader.error(pattern, [id], `expected names of header fields such as Subject, found ${found}`);
  }
  // A list that could not be read is empty as well, and has been reported.
  const isRead = headers.length > 0 || isEmptyList(reader.node(pattern, id));
  if (isRead && !headers.some((name) => name.toLowerCase() === "from")) {
    reader.error(pattern, [id], "From must be among the signed fields (RFC 6376 §5.4)");
  }
  return headers;
}

function isEmptyList(node: Node | undefined): boolean {
  return node?.kind === "array" && node.items.length === 0;
}

function readExpire({ reader }: BuildContext, id: string): number | undefined {
  const expire = reader.get("signature.<id>.expire", id);
  if (expire !== undefined && expire < 1000) {
    reader.error("signature.<id>.expire", [id], "expected a duration of 1s or more");
  }
  return expire;
}

function readAuid({ reader }: BuildContext, id: string, domain: string): string | undefined {
  const pattern = "signature.<id>.auid";
  const auid = reader.get(pattern, id);
  if (auid === undefined || auid === "") return undefined;
  const at = auid.lastIndexOf("@");
  const own = at < 0 ? undefined : domainToAscii(auid.slice(at + 1));
  // RFC 6376 §3.5: the domain of i= is that of d=, or one below it.
  if (own === undefined || (own !== domain && !own.endsWith(`.${domain}`))) {
    const expected = "expected an address at the domain of the signature, or at one below it";
    reader.error(pattern, [id], `${expected}; found ${reader.found(pattern, id)}`);
  }
  return auid.slice(0, at + 1) + (own ?? "");
}
