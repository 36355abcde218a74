import assert from "node:assert/strict";
import {
  allowsHost,
  announcedId,
  LONGEST_LIFE,
  parsePolicy,
  policyLines,
  StsPolicyError,
} from "../../../src/outbound/mta_sts_record.ts";

// RFC 8461 §3.1
const RECORDS: readonly (readonly [string, readonly string[], string | undefined])[] = [
  ["the example of the RFC", ["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
  ["no delimiter at the end", ["v=STSv1; id=1"], "1"],
  ["blanks and tabs around delimiters", ["v=STSv1;\t id=a1 ; x=y "], "a1"],
  ["no blanks", ["v=STSv1;id=a1;"], "a1"],
  ["extensions before and behind", ["v=STSv1; a.b-c_d=x; id=a1; other=!#$%"], "a1"],
  ["other records beside it", ["v=spf1 -all", "v=STSv1; id=7;", "v=STSv12; id=8;"], "7"],
  ["an id of 32 characters", [`v=STSv1; id=${"a".repeat(32)};`], "a".repeat(32)],
  ["no record", [], undefined],
  ["only other records", ["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.example"], undefined],
  ["two records", ["v=STSv1; id=1;", "v=STSv1; id=1;"], undefined],
  ["two records, one of them malformed", ["v=STSv1; id=1;", "v=STSv1; nothing"], undefined],
  ["the version is not the first field", ["id=1; v=STSv1;"], undefined],
  ["the version in other letters", ["V=stsv1; id=1;"], undefined],
  ["another version", ["v=STSv2; id=1;"], undefined],
  ["no id", ["v=STSv1; a=b;"], undefined],
  ["an empty id", ["v=STSv1; id=;"], undefined],
  ["an id of 33 characters", [`v=STSv1; id=${"a".repeat(33)};`], undefined],
  ["an id with other characters", ["v=STSv1; id=2016-08-31;"], undefined],
  ["two ids", ["v=STSv1; id=1; id=2;"], undefined],
  ["blanks inside a field", ["v=STSv1; id = 1;"], undefined],
  ["a field without a value", ["v=STSv1; id=1; a=;"], undefined],
  ["an empty field in the middle", ["v=STSv1; ; id=1;"], undefined],
  ["the name of an extension is too long", [`v=STSv1; id=1; ${"x".repeat(33)}=y;`], undefined],
];

for (const [what, records, id] of RECORDS) {
  Deno.test(`TXT record: ${what}`, () => assert.equal(announcedId(records), id));
}

const POLICY = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n" +
  "max_age: 604800\n";

Deno.test("a policy is read, with LF, CRLF or both, and with or without an end to the last line", () => {
  const wanted = {
    mode: "enforce",
    maxAge: 604800,
    mx: ["mail.example.com", "*.example.net", "backupmx.example.com"],
  };
  assert.deepEqual(parsePolicy(POLICY), wanted);
  assert.deepEqual(parsePolicy(POLICY.replaceAll("\n", "\r\n")), wanted);
  assert.deepEqual(parsePolicy(POLICY.replace("\n", "\r\n").trimEnd()), wanted);
  assert.deepEqual(parsePolicy(policyLines(parsePolicy(POLICY)).join("\n")), wanted);
});

// RFC 8461 §3.2
const READ: readonly (readonly [string, string, ReturnType<typeof parsePolicy>])[] = [
  [
    "fields in any order, blanks behind the colon and at the end of lines",
    "max_age:\t1 \nmx:Mail.Example.COM  \nmode:testing\nversion:   STSv1\n",
    { mode: "testing", maxAge: 1, mx: ["mail.example.com"] },
  ],
  [
    "unknown fields are passed over",
    "version: STSv1\nx-note: anything, even ünïcode: yes\nmode: none\nmax_age: 0\nempty:\n",
    { mode: "none", maxAge: 0, mx: [] },
  ],
  [
    "of repeated fields the first counts",
    "version: STSv1\nmode: testing\nmode: enforce\nmx: a.example\nmax_age: 5\nmax_age: 6\nversion: STSv2\n",
    { mode: "testing", maxAge: 5, mx: ["a.example"] },
  ],
  [
    "a life that is too long is cut",
    "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 9999999999\n",
    { mode: "enforce", maxAge: LONGEST_LIFE, mx: ["a.example"] },
  ],
];

for (const [what, text, policy] of READ) {
  Deno.test(`policy: ${what}`, () => assert.deepEqual(parsePolicy(text), policy));
}

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["an empty one", "", /no 'version'/],
  ["another version", POLICY.replace("STSv1", "STSv2"), /version is 'STSv2'/],
  ["no mode", POLICY.replace("mode: enforce\n", ""), /no 'mode'/],
  ["an unknown mode", POLICY.replace("enforce", "report"), /mode is 'report'/],
  ["no max_age", POLICY.replace(/max_age.*\n/, ""), /no 'max_age'/],
  ["max_age is no number", POLICY.replace("604800", "1w"), /max_age '1w'/],
  ["max_age is negative", POLICY.replace("604800", "-1"), /max_age '-1'/],
  ["max_age has eleven digits", POLICY.replace("604800", "10000000000"), /max_age/],
  ["no mx", "version: STSv1\nmode: testing\nmax_age: 1\n", /names no mx/],
  ["a wildcard inside a name", POLICY.replace("*.example.net", "mx*.example.net"), /mx 'mx\*\.example\.net' in line 4/],
  ["a wildcard at the second label", POLICY.replace("*.example.net", "a.*.net"), /is no host name/],
  ["a wildcard alone", POLICY.replace("*.example.net", "*"), /is no host name/],
  ["an mx that is no name", POLICY.replace("mail.example.com", "mail_.example.com"), /line 3 is no host name/],
  ["a line without a colon", `${POLICY}and so on\n`, /line 7 is no 'name: value'/],
  ["HTML", "<html><body>version: STSv1</body></html>", /line 1 is no 'name: value'/],
  ["a blank before the colon", POLICY.replace("mode:", "mode :"), /line 2/],
];

for (const [what, text, reason] of REFUSED) {
  Deno.test(`policy refused: ${what}`, () => {
    assert.throws(() => parsePolicy(text), (error) => error instanceof StsPolicyError && reason.test(error.message));
  });
}

Deno.test("hosts match by name, and by one label where the pattern has a wildcard (RFC 8461 §4.1)", () => {
  const policy = parsePolicy(POLICY);
  const allowed = ["mail.example.com", "MAIL.example.com.", "mx1.example.net", "backupmx.example.com"];
  const others = [
    "example.net",
    "a.b.example.net",
    "mail.example.com.evil.example",
    "xmail.example.com",
    ".example.net",
    "notexample.net",
    "192.0.2.1",
    "",
  ];
  assert.deepEqual(allowed.filter((host) => !allowsHost(policy, host)), []);
  assert.deepEqual(others.filter((host) => allowsHost(policy, host)), []);
});
