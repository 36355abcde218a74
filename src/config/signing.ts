/** The part of the configuration that is about signing. */

import type { KeyObject } from "node:crypto";
import type { Setting } from "../expression/types.ts";

/** What a signature is computed with; `rsa-sha1` only where somebody insists (RFC 8301). */
export type SignatureAlgorithm = "rsa-sha256" | "rsa-sha1" | "ed25519-sha256";

/** `signature.<id>`: how one signature is made. */
export interface SignatureConfig {
  readonly id: string;
  /** Of the kind that `algorithm` needs. Not even a dump of the configuration shows what is in it. */
  readonly privateKey: KeyObject;
  /** `d=`, in lower case, as A-labels. */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  readonly algorithm: SignatureAlgorithm;
  /** Names of header fields in the order they are listed; From is among them. */
  readonly headers: readonly string[];
  readonly canonicalization: { readonly header: "simple" | "relaxed"; readonly body: "simple" | "relaxed" };
  /** Milliseconds until the signature expires. */
  readonly expire: number | undefined;
  /** The author's domain that lets `domain` sign for it (RFC 6541), and how the name of its record is hashed. */
  readonly thirdParty: { readonly domain: string; readonly hash: "none" | "sha1" | "sha256" } | undefined;
  /** `i=`, as `local@domain` or `@domain`. */
  readonly auid: string | undefined;
  /** Whether `l=` is written. */
  readonly setBodyLength: boolean;
  /** Whether failure reports are asked for (`r=y`, RFC 6651). */
  readonly report: boolean;
}

/** Signatures, and which of them accepted messages get. */
export interface SigningConfig {
  readonly signatures: ReadonlyMap<string, SignatureConfig>;
  readonly sign: Setting<readonly string[]>;
  readonly seal: Setting<string | false>;
}
