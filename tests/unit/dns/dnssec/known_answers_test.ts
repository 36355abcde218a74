/** Examples that the RFCs give for keys, digests, signatures, hashes and the order of names. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { nsec3Hash } from "../../../../src/dns/dnssec/denial.ts";
import { isDigestOf, readDigest, readKey } from "../../../../src/dns/dnssec/key.ts";
import { compareNames, toWire } from "../../../../src/dns/dnssec/name.ts";
import { joined, type RecordSet, TYPE } from "../../../../src/dns/dnssec/record.ts";
import { checkSignatures } from "../../../../src/dns/dnssec/signature.ts";

interface Example {
  readonly source: string;
  readonly zone: string;
  readonly algorithm: number;
  readonly flags: number;
  readonly key: string;
  readonly tag: number;
  /** Digest type and digest. */
  readonly ds?: readonly [number, string];
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
  readonly labels: number;
  /** Seconds since the epoch. */
  readonly expiration: number;
  readonly inception: number;
  readonly signature: string;
}

const seconds = (text: string) => Date.parse(text) / 1000;

const EXAMPLES: readonly Example[] = [
  {
    source: "RFC 5702 §6.1, RSA/SHA-256",
    zone: "example.net",
    algorithm: 8,
    flags: 256,
    key: "AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
    tag: 9033,
    name: "www.example.net",
    type: TYPE.A,
    data: Uint8Array.of(192, 0, 2, 91),
    labels: 3,
    expiration: seconds("2030-01-01T00:00:00Z"),
    inception: seconds("2000-01-01T00:00:00Z"),
    signature: "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==",
  },
  {
    source: "RFC 6605 §6.1, ECDSA P-256",
    zone: "example.net",
    algorithm: 13,
    flags: 257,
    key: "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    tag: 55648,
    ds: [2, "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"],
    name: "www.example.net",
    type: TYPE.A,
    data: Uint8Array.of(192, 0, 2, 1),
    labels: 3,
    expiration: seconds("2010-09-09T10:04:39Z"),
    inception: seconds("2010-08-12T10:04:39Z"),
    signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
  },
  {
    source: "RFC 6605 §6.2, ECDSA P-384",
    zone: "example.net",
    algorithm: 14,
    flags: 257,
    key: "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6" +
      "Glur8I/mlVNgF6W/qTI37m40",
    tag: 10771,
    ds: [4, "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6"],
    name: "www.example.net",
    type: TYPE.A,
    data: Uint8Array.of(192, 0, 2, 1),
    labels: 3,
    expiration: seconds("2010-09-09T10:20:25Z"),
    inception: seconds("2010-08-12T10:20:25Z"),
    signature: "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqX" +
      "L5bdcJzusdnI0RSMROxxwGipWcJm",
  },
  {
    source: "RFC 8080 §6.1, Ed25519",
    zone: "example.com",
    algorithm: 15,
    flags: 257,
    key: "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    tag: 3613,
    ds: [2, "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"],
    name: "example.com",
    type: TYPE.MX,
    data: joined(Uint8Array.of(0, 10), toWire("mail.example.com")),
    labels: 2,
    expiration: 1440021600,
    inception: 1438207200,
    signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
  },
];

function keyOf({ flags, algorithm, key }: Example) {
  return readKey(Uint8Array.from([flags >> 8, flags & 255, 3, algorithm, ...Buffer.from(key, "base64")]));
}

/** The set with its signature, as a message would give it. */
function signedSet(example: Example): RecordSet {
  const { zone, algorithm, tag, name, type, data, labels, expiration, inception } = example;
  const fixed = new DataView(new ArrayBuffer(18));
  fixed.setUint16(0, type);
  fixed.setUint8(2, algorithm);
  fixed.setUint8(3, labels);
  fixed.setUint32(4, 3600);
  fixed.setUint32(8, expiration);
  fixed.setUint32(12, inception);
  fixed.setUint16(16, tag);
  const signature = {
    typeCovered: type,
    algorithm,
    labels,
    originalTtl: 3600,
    expiration,
    inception,
    keyTag: tag,
    signer: zone,
    header: joined(new Uint8Array(fixed.buffer), toWire(zone)),
    signature: new Uint8Array(Buffer.from(example.signature, "base64")),
  };
  return { name, type, ttl: 3600, data: [data], signatures: [signature] };
}

for (const example of EXAMPLES) {
  const { source, zone, tag, ds, algorithm, inception, expiration } = example;
  Deno.test(`${source}: key, digest and signature`, () => {
    const key = keyOf(example);
    assert.ok(key);
    assert.equal(key.tag, tag);
    if (ds !== undefined) {
      const [digestType, digest] = ds;
      const data = Uint8Array.from([tag >> 8, tag & 255, algorithm, digestType, ...Buffer.from(digest, "hex")]);
      const read = readDigest(data);
      assert.ok(read && isDigestOf(read, zone, key));
      assert.equal(isDigestOf({ ...read, digest: read.digest.map((octet) => octet ^ 1) }, zone, key), false);
    }
    const set = signedSet(example);
    const check = (now: number, changed = set) => checkSignatures(changed, zone, [key], now, { left: 10 });
    assert.equal(typeof check(inception + 1), "object", JSON.stringify(check(inception + 1)));
    assert.equal(check(inception - 1), "the signature is not valid yet");
    assert.equal(check(expiration + 1), "the signature has expired");
    const forged = { ...set, data: set.data.map((data) => data.map((octet, at) => at === 0 ? octet ^ 1 : octet)) };
    assert.equal(check(inception + 1, forged), "the signature does not fit");
    // No more is checked than there is patience for.
    assert.equal(
      checkSignatures(set, zone, [key], inception + 1, { left: 0 }),
      "there are too many signatures to check",
    );
  });
}

Deno.test("RFC 5155 appendix A: hashes of names", () => {
  const salt = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);
  const known = {
    "example": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "w.example": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example": "t644ebqk9bibcna874givr6joj62mlhv",
  };
  for (const [name, hash] of Object.entries(known)) {
    const bits = [...nsec3Hash(name, salt, 12)].map((octet) => octet.toString(2).padStart(8, "0")).join("");
    const text = (bits.match(/.{5}/g) ?? []).map((five) => Number.parseInt(five, 2).toString(32)).join("");
    assert.equal(text, hash, name);
  }
});

Deno.test("RFC 4034 §6.1: the canonical order of names", () => {
  const order = [
    "example",
    "a.example",
    "yljkjljk.a.example",
    "z.a.example",
    "zabc.a.example",
    "z.example",
    "\\001.z.example",
    "*.z.example",
    "\\200.z.example",
  ];
  const shuffled = [...order].reverse();
  assert.deepEqual(shuffled.sort(compareNames), order);
});
