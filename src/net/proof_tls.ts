/**
 * The handshake that proves a name by `tls-alpn-01` (RFC 8737).
 *
 * The certificate of a proof has a critical extension that the runtime's TLS does not know, so it refuses to show it. What
 * is left is this one handshake of TLS 1.3 (RFC 8446) as the server: X25519 or P-256, AES-128-GCM with SHA-256, a key on
 * P-256, no data in either direction. Every client of TLS 1.3 knows these (§9.1); what shares it sends at once is up to it.
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, sign } from "node:crypto";
import { timingSafeEqual, X509Certificate } from "node:crypto";

/** What is read from and written to, in order. */
export interface ProofSocket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
}

/** What the ClientHello says, as far as this handshake needs it. */
export interface ProofHello {
  /** The whole handshake message, without record headers. */
  readonly message: Uint8Array;
  /** Octets that came behind it. */
  readonly rest: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suites: readonly number[];
  /** The shares of the client by group (RFC 8446 §4.2.8). */
  readonly shares: ReadonlyMap<number, Uint8Array>;
}

/** The protocol that asks for a proof, and has no other use (RFC 8737 §4). */
export const PROOF_PROTOCOL = "acme-tls/1";

const AES_128_GCM_SHA256 = 0x1301;

/** Groups that are agreed on, the best first (RFC 8446 §4.2.7). */
const GROUPS = [
  { code: 0x001d, size: 32, key: { name: "X25519" }, exchange: "X25519" },
  { code: 0x0017, size: 65, key: { name: "ECDH", namedCurve: "P-256" }, exchange: "ECDH" },
] as const;
type Group = typeof GROUPS[number];
const ECDSA_P256_SHA256 = 0x0403;

const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
const MESSAGE = {
  serverHello: 2,
  encryptedExtensions: 8,
  certificate: 11,
  certificateVerify: 15,
  finished: 20,
} as const;

/** RFC 8446 §5.1 and §5.2. */
const LARGEST_RECORD = 16_384 + 256;
/** Records that are read until the client is done: its Finished, perhaps behind a ChangeCipherSpec. */
const MOST_RECORDS = 8;

/**
 * Shows the certificate of a proof. The socket stays open.
 *
 * @param certificate PEM, with a key on P-256
 * @throws {Error} (rejects) if the client does not offer what this handshake is made of, or does not finish it
 */
export async function showProof(
  socket: ProofSocket,
  hello: ProofHello,
  certificate: { readonly cert: string; readonly privateKey: string },
): Promise<void> {
  const group = GROUPS.find(({ code, size }) => hello.shares.get(code)?.length === size);
  const theirs = group === undefined ? undefined : hello.shares.get(group.code);
  if (!hello.suites.includes(AES_128_GCM_SHA256) || group === undefined || theirs === undefined) {
    throw new Error("the client does not offer TLS 1.3 with AES-128-GCM and a share for X25519 or P-256");
  }
  const { share, secret } = await agree(group, theirs);
  const transcript = createTranscript(hello.message);
  const serverHello = message(
    MESSAGE.serverHello,
    uint(0x0303, 2),
    crypto.getRandomValues(new Uint8Array(32)),
    vector(1, hello.sessionId),
    uint(AES_128_GCM_SHA256, 2),
    uint(0, 1),
    // supported_versions and key_share (RFC 8446 §4.2.1, §4.2.8).
    vector(2, uint(43, 2), vector(2, uint(0x0304, 2)), uint(51, 2), vector(2, uint(group.code, 2), vector(2, share))),
  );
  transcript.add(serverHello);

  // RFC 8446 §7.1.
  const empty = createHash("sha256").digest();
  const zeros = new Uint8Array(32);
  const early = extract(zeros, zeros);
  const handshake = extract(expandLabel(early, "derived", empty, 32), secret);
  const serverSecret = expandLabel(handshake, "s hs traffic", transcript.hash(), 32);
  const clientSecret = expandLabel(handshake, "c hs traffic", transcript.hash(), 32);
  const protect = protection(serverSecret);

  const flight: Uint8Array[] = [];
  const say = (type: number, ...parts: readonly Uint8Array[]) => {
    const whole = message(type, ...parts);
    transcript.add(whole);
    flight.push(whole);
  };
  const protocol = vector(2, vector(1, new TextEncoder().encode(PROOF_PROTOCOL)));
  say(MESSAGE.encryptedExtensions, vector(2, uint(16, 2), vector(2, protocol)));
  const der = new Uint8Array(new X509Certificate(certificate.cert).raw);
  say(MESSAGE.certificate, vector(1), vector(3, vector(3, der), vector(2)));
  const signed = joined(
    new Uint8Array(64).fill(0x20),
    new TextEncoder().encode("TLS 1.3, server CertificateVerify\0"),
    transcript.hash(),
  );
  const signature = sign("sha256", signed, createPrivateKey(certificate.privateKey));
  say(MESSAGE.certificateVerify, uint(ECDSA_P256_SHA256, 2), vector(2, signature));
  say(MESSAGE.finished, finishedFor(serverSecret, transcript.hash()));
  await socket.write(joined(
    record(CONTENT.handshake, serverHello),
    // RFC 8446 §D.4: for middleboxes that take this for an older version.
    ...hello.sessionId.length > 0 ? [record(CONTENT.changeCipherSpec, Uint8Array.of(1))] : [],
    protect.seal(CONTENT.handshake, joined(...flight)),
  ));

  await readFinished(socket, hello.rest, protection(clientSecret), finishedFor(clientSecret, transcript.hash()));
  const main = extract(expandLabel(handshake, "derived", empty, 32), zeros);
  const closing = protection(expandLabel(main, "s ap traffic", transcript.hash(), 32));
  // close_notify, so that nobody takes the end for an attack (RFC 8446 §6.1).
  await socket.write(closing.seal(CONTENT.alert, Uint8Array.of(1, 0)));
}

async function agree({ key, exchange }: Group, theirs: Uint8Array): Promise<{ share: Uint8Array; secret: Uint8Array }> {
  const pair = await crypto.subtle.generateKey(key, false, ["deriveBits"]) as CryptoKeyPair;
  const peer = await crypto.subtle.importKey("raw", theirs.slice(), key, false, []);
  const bits = await crypto.subtle.deriveBits({ name: exchange, public: peer }, pair.privateKey, 256);
  return { share: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), secret: new Uint8Array(bits) };
}

/** Reads until the client has finished. */
async function readFinished(
  socket: ProofSocket,
  early: Uint8Array,
  protect: Protection,
  wanted: Uint8Array,
): Promise<void> {
  let held = early;
  const take = async (size: number): Promise<Uint8Array> => {
    while (held.length < size) {
      const buffer = new Uint8Array(4096);
      const count = await socket.read(buffer);
      if (count === null) throw new Error("the client left during the handshake");
      held = joined(held, buffer.subarray(0, count));
    }
    const taken = held.subarray(0, size);
    held = held.subarray(size);
    return taken;
  };
  for (let left = MOST_RECORDS; left > 0; left--) {
    const header = (await take(5)).slice();
    const size = (header[3] ?? 0) * 256 + (header[4] ?? 0);
    if (size > LARGEST_RECORD) throw new Error("the client sent a record that is too long");
    const body = await take(size);
    if (header[0] === CONTENT.changeCipherSpec) continue;
    if (header[0] !== CONTENT.data) throw new Error(`the client broke off the handshake (${body.join(" ")})`);
    const { type, content } = protect.open(header, body);
    if (type !== CONTENT.handshake) throw new Error(`the client broke off the handshake (${content.join(" ")})`);
    const finished = message(MESSAGE.finished, wanted);
    if (content.length === finished.length && timingSafeEqual(content, finished)) return;
    throw new Error("the client did not finish the handshake as it should");
  }
  throw new Error("the client sent too many records");
}

interface Protection {
  seal(type: number, content: Uint8Array): Uint8Array;
  open(header: Uint8Array, body: Uint8Array): { readonly type: number; readonly content: Uint8Array };
}

/** Records under the keys of one direction (RFC 8446 §5.2, §5.3). */
function protection(secret: Uint8Array): Protection {
  const none = new Uint8Array(0);
  const key = expandLabel(secret, "key", none, 16);
  const iv = expandLabel(secret, "iv", none, 12);
  let sequence = 0;
  const nonce = () => {
    const made = iv.slice();
    // There are never more than a few records.
    made[11] = (made[11] ?? 0) ^ sequence++;
    return made;
  };
  return {
    seal(type, content) {
      const inner = joined(content, Uint8Array.of(type));
      const header = Uint8Array.of(CONTENT.data, 3, 3, ...uint(inner.length + 16, 2));
      const cipher = createCipheriv("aes-128-gcm", key, nonce());
      cipher.setAAD(header);
      return joined(header, cipher.update(inner), cipher.final(), cipher.getAuthTag());
    },
    open(header, body) {
      const decipher = createDecipheriv("aes-128-gcm", key, nonce());
      decipher.setAAD(header);
      decipher.setAuthTag(body.subarray(body.length - 16));
      const inner = joined(decipher.update(body.subarray(0, body.length - 16)), decipher.final());
      // Zeros may follow the type.
      let end = inner.length - 1;
      while (end > 0 && inner[end] === 0) end--;
      return { type: inner[end] ?? 0, content: inner.subarray(0, end) };
    },
  };
}

function createTranscript(first: Uint8Array) {
  let all = first;
  return {
    add(next: Uint8Array) {
      all = joined(all, next);
    },
    hash: (): Uint8Array => createHash("sha256").update(all).digest(),
  };
}

function extract(salt: Uint8Array, material: Uint8Array): Uint8Array {
  return createHmac("sha256", salt).update(material).digest();
}

/** RFC 8446 §7.1; one block of HKDF (RFC 5869) is all that is ever needed. */
function expandLabel(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const info = joined(uint(length, 2), vector(1, new TextEncoder().encode(`tls13 ${label}`)), vector(1, context));
  return createHmac("sha256", secret).update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}

function finishedFor(secret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return createHmac("sha256", expandLabel(secret, "finished", new Uint8Array(0), 32)).update(transcript).digest();
}

function record(type: number, content: Uint8Array): Uint8Array {
  return joined(Uint8Array.of(type, 3, 3), vector(2, content));
}

function message(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return joined(Uint8Array.of(type), vector(3, ...parts));
}

/** Octets behind their number, which takes `size` octets. */
function vector(size: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = joined(...parts);
  return joined(uint(content.length, size), content);
}

function uint(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (value >>> (8 * (size - 1 - index))) & 0xff);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
