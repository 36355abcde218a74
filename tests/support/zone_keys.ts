/** Keys of a zone, and DNSKEY responses signed with them as a zone would (RFC 4034), made apart from the program. */

/** A key of ECDSA P-256 (algorithm 13). */
export interface TestZoneKey {
  /** Data of its DNSKEY record. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly privateKey: CryptoKey;
}

/** Makes a key; 257 has the SEP bit, 256 has not. */
export async function makeZoneKey(flags = 257): Promise<TestZoneKey> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { data: Uint8Array.from([flags >> 8, flags & 255, 3, 13, ...point.subarray(1)]), privateKey: pair.privateKey };
}

/** The key with the bit that says that it is revoked (RFC 5011 §3). */
export function revoked({ data, privateKey }: TestZoneKey): TestZoneKey {
  const marked = data.slice();
  marked[1] = (marked[1] ?? 0) | 0x80;
  return { data: marked, privateKey };
}

/** RFC 4034 appendix B, in plain words: sixteen bits at a time, with the carry added in the end. */
export function tagOf({ data }: TestZoneKey): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += (data[at] ?? 0) * 256 + (data[at + 1] ?? 0);
  return (sum + Math.floor(sum / 65_536)) % 65_536;
}

/** A DS record of the root for the key, in master file format. */
export async function dsOf(key: TestZoneKey): Promise<string> {
  // The name of the root is one zero octet.
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from([0, ...key.data])));
  return `. IN DS ${tagOf(key)} 13 2 ${digest.toHex()}`;
}

/** The DNSKEY response of the root with `keys`, signed by `signers`. Times in seconds since the epoch. */
export async function keyResponse(
  keys: readonly TestZoneKey[],
  signers: readonly TestZoneKey[],
  { ttl = 172_800, inception, expiration }: {
    readonly ttl?: number;
    readonly inception: number;
    readonly expiration: number;
  },
): Promise<Uint8Array> {
  const u16 = (value: number) => [value >> 8 & 255, value & 255];
  const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];
  const record = (type: number, data: readonly number[]) => [
    ...[0, ...u16(type), ...u16(1), ...u32(ttl)],
    ...[...u16(data.length), ...data],
  ];
  const sorted = keys.map(({ data }) => [...data]).sort((a, b) => {
    const at = a.findIndex((octet, index) => octet !== b[index]);
    return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
  });
  const set = sorted.flatMap((data) => record(48, data));
  const signatures = await Promise.all(signers.map(async (key) => {
    const head = [...u16(48), 13, 0, ...u32(ttl), ...u32(expiration), ...u32(inception), ...u16(tagOf(key)), 0];
    const signed = Uint8Array.from([...head, ...set]);
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.privateKey, signed);
    return record(46, [...head, ...new Uint8Array(signature)]);
  }));
  const count = keys.length + signatures.length;
  return Uint8Array.from([0, 0, 0x80, 0, 0, 0, ...u16(count), 0, 0, 0, 0, ...set, ...signatures.flat()]);
}
