/** Received-SPF (RFC 7208 §9.1) and Authentication-Results (RFC 8601). */

import assert from "node:assert/strict";
import {
  authenticationResults,
  authenticationResultsField,
  type AuthResults,
  claimsToBe,
  type DkimResult,
  type DmarcResult,
  receivedSpfField,
  type SpfResult,
} from "../../../src/authentication/mod.ts";
import { parseHeader } from "../../../src/message/mod.ts";

const decoder = new TextDecoder();
const SPF: SpfResult = {
  method: "spf",
  result: "pass",
  identity: "mailfrom",
  domain: "example.net",
  sender: "ana@example.net",
};
const DKIM: DkimResult = {
  method: "dkim",
  result: "pass",
  domain: "example.net",
  selector: "s1",
  algorithm: "rsa-sha256",
  auid: "@example.net",
  signature: "abcdefghijkl",
  testing: false,
  reportRequested: false,
};
const DMARC: DmarcResult = {
  method: "dmarc",
  result: "pass",
  fromDomain: "example.net",
  policy: "none",
  disposition: "none",
  spfAligned: true,
  dkimAligned: true,
};

/** The results behind the authserv-id, one an entry. */
function infos(results: AuthResults, ip = "192.0.2.7"): string[] {
  const [id, ...rest] = authenticationResults("mx.example.org", results, ip).split(";\r\n\t");
  assert.equal(id, "mx.example.org");
  return rest;
}

/** The unfolded value of a field that was written, which must be the only field there. */
function valueOf(bytes: Uint8Array): string {
  const header = parseHeader(bytes);
  assert.equal(header.fields.length, 1);
  assert.ok(decoder.decode(bytes).split("\r\n").every((line) => line.length <= 998));
  return header.fields[0]!.value();
}

Deno.test("without any result the field says none (RFC 8601 §2.2)", () => {
  assert.deepEqual(infos({}), ["none"]);
});

Deno.test("each method has its properties (RFC 8601 §2.7)", () => {
  assert.deepEqual(infos({ spfMailFrom: SPF }), ["spf=pass smtp.mailfrom=ana@example.net"]);
  const helo: SpfResult = { ...SPF, identity: "helo", domain: "mail.example.net", result: "softfail" };
  assert.deepEqual(infos({ spfMailFrom: { ...SPF, result: "none" }, spfEhlo: helo }), [
    "spf=none smtp.mailfrom=ana@example.net",
    "spf=softfail smtp.helo=mail.example.net",
  ]);
  assert.deepEqual(infos({ dkim: [DKIM] }), [
    "dkim=pass header.d=example.net header.s=s1 header.a=rsa-sha256 header.i=@example.net header.b=abcdefgh",
  ]);
  assert.deepEqual(infos({ iprev: { method: "iprev", result: "pass", ip: "192.0.2.7", name: "mail.example.net" } }), [
    "iprev=pass (mail.example.net) policy.iprev=192.0.2.7",
  ]);
  assert.deepEqual(infos({ iprev: { method: "iprev", result: "permerror", ip: "2001:db8::1", name: "" } }), [
    'iprev=permerror policy.iprev="2001:db8::1"',
  ]);
  assert.deepEqual(infos({ dmarc: { ...DMARC, result: "none" } }), ["dmarc=none header.from=example.net"]);
  const record = {
    domain: "example.net",
    policy: "reject",
    subdomainPolicy: "reject",
    nonexistentPolicy: "reject",
    dkimAlignment: "relaxed",
    spfAlignment: "relaxed",
    percent: 100,
    testing: false,
    failureOptions: ["0"],
    reportInterval: 86400,
    aggregateReports: [],
    failureReports: [],
    text: "v=DMARC1; p=reject",
  } as const;
  assert.deepEqual(
    infos({ dmarc: { ...DMARC, result: "fail", record, policy: "reject", disposition: "quarantine" } }),
    [
      "dmarc=fail (p=reject dis=quarantine) header.from=example.net policy.dmarc=reject",
    ],
  );
});

Deno.test("an ARC chain tells its length, the oldest instance that holds, and the client (RFC 8617 §10.2)", () => {
  const arc = {
    method: "arc",
    result: "pass",
    instance: 2,
    domain: "example.net",
    selector: "s",
    oldestPass: 1,
    temporary: false,
  } as const;
  assert.deepEqual(infos({ arc }), ["arc=pass (i=2) header.oldest-pass=1 smtp.remote-ip=192.0.2.7"]);
  assert.deepEqual(infos({ arc: { ...arc, result: "fail" } }), ["arc=fail (i=2) smtp.remote-ip=192.0.2.7"]);
  assert.deepEqual(infos({ arc: { ...arc, result: "none", instance: 0 } }), ["arc=none"]);
});

Deno.test("every signature has its own entry; a message without any has one", () => {
  const second: DkimResult = { ...DKIM, result: "fail", domain: "example.com", signature: "a+b/c=", reason: "no" };
  assert.deepEqual(
    infos({ dkim: [DKIM, second] })[1],
    'dkim=fail reason="no" header.d=example.com header.s=s1 header.a=rsa-sha256 header.i=@example.net header.b="a+b/c="',
  );
  const none: DkimResult = {
    ...DKIM,
    result: "none",
    domain: "",
    selector: "",
    algorithm: "",
    auid: "",
    signature: "",
  };
  assert.deepEqual(infos({ dkim: [none] }), ["dkim=none"]);
});

Deno.test("the field is folded: one result a line, lines of 78 characters where words allow it", () => {
  const text = decoder.decode(authenticationResultsField("mx.example.org", { spfMailFrom: SPF, dkim: [DKIM] }, ""));
  assert.equal(
    text,
    "Authentication-Results: mx.example.org;\r\n" +
      "\tdkim=pass header.d=example.net header.s=s1 header.a=rsa-sha256\r\n" +
      " header.i=@example.net header.b=abcdefgh;\r\n" +
      "\tspf=pass smtp.mailfrom=ana@example.net\r\n",
  );
});

const HOSTILE = [
  "x\r\nSubject: forged",
  "x\r\n\r\nbody",
  'x"; dkim=pass header.d=bank.example; x="',
  "x) dkim=pass (",
  "x\\",
  "x\0y\x7f",
  "ü".repeat(2000),
  "a b\tc",
  ";".repeat(3000),
  "\u2028\u0085",
];
for (const text of HOSTILE) {
  Deno.test(`strangers' text adds neither fields nor results: ${JSON.stringify(text.slice(0, 40))}`, () => {
    const dkim: DkimResult = {
      ...DKIM,
      result: "fail",
      domain: text,
      selector: text,
      algorithm: text,
      auid: text,
      signature: text,
      reason: text,
    };
    const spf: SpfResult = { ...SPF, result: "permerror", sender: text, domain: text, mechanism: text, reason: text };
    const results: AuthResults = {
      dkim: [dkim],
      spfMailFrom: spf,
      iprev: { method: "iprev", result: "fail", ip: text, name: text, reason: text },
      dmarc: { ...DMARC, result: "fail", fromDomain: text, reason: text },
    };
    const value = valueOf(authenticationResultsField("mx.example.org", results, text));
    // What is left outside of strings and comments is all ours.
    const bare = value.replace(/"(?:[^"\\]|\\.)*"/g, "S").replace(/\([^()]*\)/g, "");
    assert.equal(bare.split(";").length, 5, bare);
    const received = valueOf(receivedSpfField(spf, { ip: text, helo: text, sender: text, receiver: "mx.example.org" }));
    const pairs = received.replace(/"(?:[^"\\]|\\.)*"/g, "S").replace(/\([^()]*\)/g, "").split(";");
    assert.equal(pairs.length, 7, received);
  });
}

Deno.test("Received-SPF names result, identity and what decided (RFC 7208 §9.1)", () => {
  const options = {
    ip: "2001:db8::1",
    helo: "mail.example.net",
    sender: "ana@example.net",
    receiver: "mx.example.org",
  };
  const fail = receivedSpfField({ ...SPF, result: "fail", mechanism: "-all" }, options);
  assert.equal(
    valueOf(fail),
    "fail (mx.example.org: domain of ana@example.net does not designate 2001:db8::1 as permitted sender)\t" +
      'receiver=mx.example.org; client-ip="2001:db8::1"; envelope-from="ana@example.net"; helo=mail.example.net; ' +
      "identity=mailfrom; mechanism=-all",
  );
  const ofHelo = { identity: "helo", domain: "mail.example.net", sender: "postmaster@mail.example.net" } as const;
  const helo = receivedSpfField({ ...SPF, ...ofHelo }, {
    ...options,
    ip: "192.0.2.7",
  });
  assert.match(valueOf(helo), /^pass .*client-ip=192\.0\.2\.7; envelope-from="ana@example\.net".*identity=helo$/);
  const broken = receivedSpfField({ ...SPF, result: "permerror", reason: "cannot read the term x" }, options);
  assert.match(valueOf(broken), /^permerror .*; problem="cannot read the term x"$/);
  const long = valueOf(receivedSpfField(SPF, { ...options, helo: `${"a".repeat(60)}.`.repeat(10) + "example" }));
  assert.match(long, /; helo="[a.]{320}";/);
});

Deno.test("a result that claims to be ours is known, whatever its spelling, and no other (RFC 8601 §5)", () => {
  const claims = (value: string) => {
    const header = parseHeader(new TextEncoder().encode(`Authentication-Results: ${value}\r\n\r\n`));
    return claimsToBe(header.fields[0]!, ["mx.example.org", "bücher.example"]);
  };
  for (
    const value of [
      "mx.example.org; spf=pass",
      "MX.Example.ORG;none",
      "mx.example.org. ; none",
      "mx.example.org\u3002; none",
      "mx\uff0eexample.org\uff61; none",
      "mx.example.org 1; spf=pass",
      "(a (nested\\)) comment) mx.example.org; spf=pass",
      '"mx.example.org"; spf=pass',
      '"mx.\\example.org"; spf=pass',
      "\r\n\tmx.example.org;\r\n\tspf=pass",
      "mx.example.org",
      "xn--bcher-kva.example; none",
      "bücher.example; none",
      "mx.example.org(comment); none",
    ]
  ) {
    assert.ok(claims(value), value);
  }
  for (
    const value of [
      "mx.example.com; spf=pass",
      "xmx.example.org; spf=pass",
      "mx.example.org.example.net; none",
      "(mx.example.org) other.example; none",
      "other.example; x=mx.example.org",
      "",
      "(",
      '"mx.example.org',
    ]
  ) {
    assert.ok(!claims(value), value);
  }
});
