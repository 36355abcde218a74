/** Signs messages with the signatures of a configuration. */

import type { SignatureConfig } from "../../config/config.ts";
import type { Content } from "../../message/content.ts";
import { type ParsedHeader, parseHeader } from "../../message/mod.ts";
import type { Emit, EventFields } from "../../telemetry/event.ts";
import { concatenate } from "../dkim/signed_header.ts";
import type { ArcVerdict } from "../types.ts";
import { arcSet } from "./arc_set.ts";
import { type BodyHash, bodyHashes } from "./body_hash.ts";
import { bodyHashKind, dkimSignature, type PreparedSignature, type SigningInput } from "./dkim_signature.ts";
import { createGate, createPrivateKeySigner } from "./private_key.ts";
import { fieldsByName } from "./signed_header.ts";

/** A message to sign, in the form in which it is sent. */
export interface SignRequest {
  readonly content: Content;
  /** `parseHeader(content.head)`; read here if it is left out. */
  readonly header?: ParsedHeader;
  /** Ids of the signatures to make. */
  readonly signatures: readonly string[];
  /** Fields to sign beside those of the configuration. */
  readonly fields?: readonly string[];
  /** Nothing may be added behind the body, whatever `set-body-length` says. */
  readonly wholeBody?: true;
  /** The ARC set to add (RFC 8617 §5.1). */
  readonly seal?: {
    readonly signature: string;
    /** Status of the chain that the message came with. */
    readonly chain: ArcVerdict;
    /** The value of Authentication-Results, folded, beginning with who found them. ASCII. */
    readonly results: string;
  };
  /** What events about it say, such as `{ id, session }`. */
  readonly about: EventFields;
}

/** Signs messages. */
export interface Signer {
  /**
   * The fields to put before the message, topmost first, with their line ends; empty if nothing was signed. A signature
   * that cannot be made is an event, and the others are made all the same.
   *
   * @throws (rejects) what reading the content throws
   */
  sign(request: SignRequest): Promise<Uint8Array>;
}

/** What {@link createSigner} needs. */
export interface SignerOptions {
  /** RSA signatures computed at once. */
  readonly threads: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly emit: Emit;
}

const NOTHING = new Uint8Array(0);

/** Makes a {@link Signer}; the keys are prepared once, here. */
export function createSigner(signatures: ReadonlyMap<string, SignatureConfig>, options: SignerOptions): Signer {
  const { emit } = options;
  const gate = createGate(options.threads);
  const prepared = new Map<string, PreparedSignature>();
  for (const [id, config] of signatures) {
    prepared.set(id, { config, signBytes: createPrivateKeySigner(config, gate) });
  }

  const find = (id: string, missing: "dkim.signer-not-found" | "arc.sealer-not-found", about: EventFields) => {
    const found = prepared.get(id);
    if (found === undefined) emit(missing, { ...about, signature: id });
    return found;
  };

  const make = async (signature: PreparedSignature, input: SigningInput, about: EventFields) => {
    const { id, domain, selector, algorithm } = signature.config;
    try {
      const field = await dkimSignature(signature, input);
      emit("dkim.signed", { ...about, signature: id, domain, selector, algorithm });
      return field;
    } catch (error) {
      emit("dkim.sign-error", { ...about, signature: id, reason: reasonOf(error) });
      return undefined;
    }
  };

  const seal = async (
    signature: PreparedSignature,
    input: SigningInput,
    { chain, results }: NonNullable<SignRequest["seal"]>,
    about: EventFields,
  ): Promise<readonly Uint8Array[]> => {
    const { id, domain, selector } = signature.config;
    try {
      const set = await arcSet(signature, { ...input, chain, results });
      if (set.kind !== "sealed") {
        emit(set.kind === "ended" ? "arc.invalid-cv" : "arc.chain-too-long", { ...about, signature: id });
        return [];
      }
      emit("arc.sealed", { ...about, signature: id, domain, selector, instance: set.instance, chain });
      return set.fields;
    } catch (error) {
      emit("dkim.sign-error", { ...about, signature: id, reason: reasonOf(error) });
      return [];
    }
  };

  return {
    async sign({ content, header, signatures: ids, fields: further = [], wholeBody, seal: wanted, about }) {
      const found = [...new Set(ids)].flatMap((id) => find(id, "dkim.signer-not-found", about) ?? [])
        .map((signature) => adapted(signature, further, wholeBody === true));
      const sealer = wanted === undefined ? undefined : find(wanted.signature, "arc.sealer-not-found", about);
      const all = sealer === undefined ? found : [...found, sealer];
      if (all.length === 0) return NOTHING;
      const read = header ?? parseHeader(content.head);
      const hashes = await bodyHashes(content, read.bodyOffset, all.map(({ config }) => bodyHashKind(config)));
      const fields = fieldsByName(content.head, read);
      const now = options.now();
      const input = (body: BodyHash | undefined): SigningInput => ({ fields, now, body: body ?? NO_BODY });
      const made = await Promise.all(found.map((signature, index) => make(signature, input(hashes[index]), about)));
      const own = made.filter((field) => field !== undefined);
      if (sealer === undefined || wanted === undefined) return concatenate(own);
      // RFC 8617 §5.1: the seal comes last, and covers the signatures just made.
      fields.set("dkim-signature", [...own, ...fields.get("dkim-signature") ?? []]);
      return concatenate([...await seal(sealer, input(hashes.at(-1)), wanted, about), ...own]);
    },
  };
}

function adapted(signature: PreparedSignature, further: readonly string[], wholeBody: boolean): PreparedSignature {
  const { config } = signature;
  if (further.length === 0 && !(wholeBody && config.setBodyLength)) return signature;
  const signed = new Set(config.headers.map((name) => name.toLowerCase()));
  const headers = [...config.headers, ...further.filter((name) => !signed.has(name.toLowerCase()))];
  return { ...signature, config: { ...config, headers, setBodyLength: config.setBodyLength && !wholeBody } };
}

const NO_BODY: BodyHash = { hash: "", length: 0 };

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
