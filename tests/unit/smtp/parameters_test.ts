import assert from "node:assert/strict";
import {
  type EsmtpParameter,
  EVERYTHING_OFFERED,
  type MailParameters,
  NOTHING_OFFERED,
  type RcptParameters,
  readMailParameters,
  readRcptParameters,
} from "../../../src/smtp/mod.ts";

function split(text: string): EsmtpParameter[] {
  return text.split(" ").map((word) => {
    const equals = word.indexOf("=");
    return equals < 0
      ? { keyword: word, value: undefined }
      : { keyword: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function mail(text: string, offered = EVERYTHING_OFFERED): MailParameters | string {
  const result = readMailParameters(split(text), offered);
  return result.kind === "parameters" ? result.parameters : `${result.reply.code} ${result.reply.enhanced}`;
}

function rcpt(text: string, offered = EVERYTHING_OFFERED): RcptParameters | string {
  const result = readRcptParameters(split(text), offered);
  return result.kind === "parameters" ? result.parameters : `${result.reply.code} ${result.reply.enhanced}`;
}

Deno.test("every parameter of MAIL is decoded", () => {
  const table: [string, MailParameters][] = [
    ["SIZE=1048576", { size: 1048576 }],
    ["SIZE=0", { size: 0 }],
    ["SIZE=99999999999999999999", { size: Number.MAX_SAFE_INTEGER }],
    ["BODY=7BIT", { body: "7bit" }],
    ["BODY=8bitMIME", { body: "8bitmime" }],
    ["BODY=BINARYMIME", { body: "binarymime" }],
    ["SMTPUTF8", { smtputf8: true }],
    ["AUTH=<>", { auth: "" }],
    ["AUTH=e+3Dmc2@example.com", { auth: "e=mc2@example.com" }],
    ["RET=FULL", { ret: "full" }],
    ["RET=hdrs", { ret: "hdrs" }],
    ["ENVID=QQ+20314159", { envid: "QQ 314159" }],
    ["REQUIRETLS", { requiretls: true }],
    ["HOLDFOR=86400", { holdFor: 86400 }],
    ["HOLDUNTIL=2026-01-05T12:00:00Z", { holdUntil: Date.UTC(2026, 0, 5, 12) }],
    ["HOLDUNTIL=2026-01-05T12:00:00+00:00", { holdUntil: Date.UTC(2026, 0, 5, 12) }],
    ["BY=120;R", { by: { seconds: 120, mode: "return", trace: false } }],
    ["BY=+120;N", { by: { seconds: 120, mode: "notify", trace: false } }],
    ["BY=-30;nt", { by: { seconds: -30, mode: "notify", trace: true } }],
    ["MT-PRIORITY=-9", { mtPriority: -9 }],
    ["MT-PRIORITY=0", { mtPriority: 0 }],
    ["MT-PRIORITY=9", { mtPriority: 9 }],
    ["SOLICIT=net.example:ADV,org.example:ADV:ADLT", { solicit: "net.example:ADV,org.example:ADV:ADLT" }],
    ["SIZE=5 BODY=7BIT RET=FULL", { size: 5, body: "7bit", ret: "full" }],
  ];
  for (const [text, expected] of table) assert.deepEqual(mail(text), expected, text);
  assert.deepEqual(readMailParameters([], NOTHING_OFFERED), { kind: "parameters", parameters: {} });
});

Deno.test("bad values of MAIL parameters answer 501 5.5.4", () => {
  const bad = [
    "SIZE",
    "SIZE=-1",
    "SIZE=1k",
    "SIZE=999999999999999999999",
    "BODY",
    "BODY=9BIT",
    "SMTPUTF8=yes",
    "AUTH",
    "AUTH=a+zz",
    "AUTH=a+0Ab",
    "RET=SOME",
    "RET",
    "ENVID",
    `ENVID=${"x".repeat(101)}`,
    "ENVID=a+00",
    "ENVID=+C3+BC",
    "REQUIRETLS=1",
    "HOLDFOR=1234567890",
    "HOLDFOR=-1",
    "HOLDFOR=0",
    "HOLDFOR=060",
    "HOLDUNTIL=2026-01-05T12:00:00+02:00",
    "HOLDUNTIL=tomorrow",
    "HOLDUNTIL=2026-13-05T12:00:00Z",
    "HOLDUNTIL=2026-01-05",
    "HOLDFOR=1 HOLDUNTIL=2026-01-05T12:00:00Z",
    "BY=120",
    "BY=120;X",
    "BY=0;R",
    "BY=-1;R",
    "BY=1234567890;N",
    "MT-PRIORITY=10",
    "MT-PRIORITY=-10",
    "MT-PRIORITY=+1",
    "MT-PRIORITY=-0",
    "MT-PRIORITY",
    "SOLICIT=:x",
    "SOLICIT",
    "SIZE=1 SIZE=1",
    "RET=FULL RET=FULL",
  ];
  for (const text of bad) assert.equal(mail(text), "501 5.5.4", text);
});

Deno.test("parameters of extensions that are unknown or not offered answer 555 5.5.4", () => {
  const all =
    "SIZE=1 BODY=7BIT SMTPUTF8 AUTH=<> RET=FULL ENVID=x REQUIRETLS HOLDFOR=1 BY=1;N MT-PRIORITY=1 SOLICIT=a:b";
  for (const text of all.split(" ")) assert.equal(mail(text, NOTHING_OFFERED), "555 5.5.4", text);
  assert.equal(mail("FROBNICATE=1"), "555 5.5.4");
  assert.equal(mail("NOTIFY=NEVER"), "555 5.5.4");
  assert.equal(mail("BODY=BINARYMIME", { ...EVERYTHING_OFFERED, binarymime: false }), "501 5.5.4");
  assert.equal(rcpt("NOTIFY=NEVER", NOTHING_OFFERED), "555 5.5.4");
  assert.equal(rcpt("ORCPT=rfc822;a@b.example", NOTHING_OFFERED), "555 5.5.4");
  assert.equal(rcpt("SIZE=1"), "555 5.5.4");
});

Deno.test("NOTIFY and ORCPT are decoded", () => {
  assert.deepEqual(rcpt("NOTIFY=NEVER"), { notify: { never: true, success: false, failure: false, delay: false } });
  assert.deepEqual(rcpt("NOTIFY=success,FAILURE"), {
    notify: { never: false, success: true, failure: true, delay: false },
  });
  assert.deepEqual(rcpt("NOTIFY=DELAY ORCPT=rfc822;Bob+2Bx@Example.org"), {
    notify: { never: false, success: false, failure: false, delay: true },
    orcpt: { type: "rfc822", address: "Bob+x@Example.org" },
  });
  assert.deepEqual(rcpt("ORCPT=utf-8;j\\x{FC}rgen@example.org"), {
    orcpt: { type: "utf-8", address: "jürgen@example.org" },
  });
  assert.deepEqual(rcpt("ORCPT=utf-8;jürgen@example.org"), { orcpt: { type: "utf-8", address: "jürgen@example.org" } });
});

Deno.test("the case of ORCPT is kept", () => {
  // RFC 3461 §5.2.1 (d)
  assert.deepEqual(rcpt("ORCPT=RFC822;Bob@Example.ORG"), { orcpt: { type: "RFC822", address: "Bob@Example.ORG" } });
});

Deno.test("bad values of RCPT parameters answer 501 5.5.4", () => {
  const bad = [
    "NOTIFY",
    "NOTIFY=",
    "NOTIFY=ALWAYS",
    "NOTIFY=NEVER,SUCCESS",
    "NOTIFY=SUCCESS,",
    "NOTIFY=NEVER NOTIFY=NEVER",
    "ORCPT",
    "ORCPT=a@example.org",
    "ORCPT=rfc822;",
    "ORCPT=;a@example.org",
    "ORCPT=rfc822;a+0D+0Ab@example.org",
    "ORCPT=rfc822;jürgen@example.org",
    "ORCPT=utf-8;\\x{D800}",
    `ORCPT=rfc822;${"a".repeat(500)}`,
    "ORCPT=rfc822;a ORCPT=rfc822;a",
  ];
  for (const text of bad) assert.equal(rcpt(text), "501 5.5.4", text);
});
