/** Signatures with keys made for a test, and what their public sides look like in DNS. */

import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { SignatureConfig } from "../../../../src/config/config.ts";
import { createSigner, type Signer } from "../../../../src/authentication/mod.ts";
import type { SeenEvent } from "../../../support/session.ts";
import { createZone, type Zone } from "../../../support/zone.ts";

export const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const ED25519 = generateKeyPairSync("ed25519");

/** The time at which all of it happens: 2026-01-05T12:00:00Z. */
export const NOW = 1_767_614_400_000;

/** A signature of example.net with the selector of its id. */
export function signature(id: string, rest: Partial<SignatureConfig> = {}): SignatureConfig {
  const algorithm = rest.algorithm ?? "rsa-sha256";
  return {
    id,
    privateKey: algorithm === "ed25519-sha256" ? ED25519.privateKey : RSA.privateKey,
    domain: "example.net",
    selector: id,
    algorithm,
    headers: ["From", "To", "Date", "Subject"],
    canonicalization: { header: "relaxed", body: "relaxed" },
    expire: undefined,
    thirdParty: undefined,
    auid: undefined,
    setBodyLength: false,
    report: false,
    ...rest,
  };
}

/** A signer of these signatures, and the events it tells. */
export function signerOf(...signatures: readonly SignatureConfig[]): { signer: Signer; events: SeenEvent[] } {
  const events: SeenEvent[] = [];
  const signer = createSigner(new Map(signatures.map((one) => [one.id, one])), {
    threads: 2,
    now: () => NOW,
    emit: (name, fields = {}) => void events.push({ name, fields }),
  });
  return { signer, events };
}

/** DNS with the public keys of signatures. */
export function zoneOf(...signatures: readonly SignatureConfig[]): Zone {
  return createZone(Object.fromEntries(signatures.map(({ selector, domain, algorithm, privateKey }) => {
    const der = createPublicKey(privateKey).export({ type: "spki", format: "der" });
    const text = algorithm === "ed25519-sha256"
      ? `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString("base64")}`
      : `v=DKIM1; k=rsa; p=${der.toString("base64")}`;
    return [`${selector}._domainkey.${domain}`, { txt: [text] }];
  })));
}

/** Octets of a text in Latin-1. */
export function octets(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The text of octets in Latin-1. */
export function text(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
}
