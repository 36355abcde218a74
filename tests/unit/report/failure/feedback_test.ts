import assert from "node:assert/strict";
import type { DkimResult, SpfResult } from "../../../../src/authentication/mod.ts";
import { parseHeader } from "../../../../src/message/mod.ts";
import { bytesOf } from "../../../../src/report/mod.ts";
import { type FailedMessage, failureReport } from "../../../../src/report/failure/feedback.ts";
import type { FailureCase } from "../../../../src/report/failure/case.ts";

const REPORTER = {
  hostname: "mx.example.org",
  userAgent: "godwit/1",
  from: { name: "Reports", address: "noreply@example.org" },
  subject: "Failure",
};

const FAILED: FailedMessage = {
  ip: "192.0.2.1",
  sender: "ann@bad.example",
  recipients: ["bob@example.org"],
  envelopeId: undefined,
  head: bytesOf("Subject: x\r\n\r\nbody\r\n"),
  arrived: Date.UTC(2026, 0, 5),
  fate: "accepted",
};

const SPF: SpfResult = {
  method: "spf",
  result: "fail",
  identity: "mailfrom",
  domain: "bad.example",
  sender: "ann@bad.example",
};

const spfCase = (spf: Partial<SpfResult> = {}): FailureCase => ({
  kind: "spf",
  failure: { type: "spf", spf: { ...SPF, ...spf } },
  domain: "bad.example",
  wishes: { from: "spf", address: "r@bad.example" },
});

/** The parts of the report, as text. */
function parts(failed: Partial<FailedMessage>, found: FailureCase): readonly string[] {
  const mail = failureReport({ ...FAILED, ...failed }, found, ["r@bad.example"], REPORTER, undefined);
  return mail.parts.map(({ body }) => new TextDecoder().decode(body));
}

const names = (text: string | undefined) => parseHeader(bytesOf(text ?? "")).fields.map(({ name }) => name);

Deno.test("nothing that strangers wrote adds a field, ends the part or leaves 7 bits (RFC 5965 §7.1)", () => {
  const [, plain] = parts({}, spfCase());
  const evil = "x\r\nReported-Domain: evil.example\r\n\r\n--b\r\n\0";
  const [, feedback = ""] = parts(
    { envelopeId: evil, sender: `"a\r\nB: c"@bad.example` },
    spfCase({ sender: evil, records: [{ domain: "bad.example", text: `v=spf1 "\\ ${evil} -all` }] }),
  );
  assert.deepEqual(
    names(feedback).filter((name) => !["Original-Envelope-Id", "SPF-DNS"].includes(name)),
    names(plain),
  );
  assert.doesNotMatch(feedback, /\r\n\r\n|[^\t\r\n -~]|^--b/m);

  const [text = "", international = ""] = parts({ sender: "jürgen@bücher.example" }, spfCase());
  assert.match(international, /^Original-Mail-From: <j\\x\{FC\}rgen@b\\x\{FC\}cher\.example>\r$/m);
  assert.doesNotMatch(text, /[^\r\n -~]/);
});

Deno.test("a DKIM failure is told with domain, identity and selector, and a comment that cannot end early", () => {
  const dkim: DkimResult = {
    method: "dkim",
    result: "permerror",
    domain: "bad.example",
    selector: "s1",
    algorithm: "rsa-sha256",
    auid: "ann@bad.example",
    signature: "abc",
    testing: false,
    reportRequested: true,
    fault: "syntax",
    reason: "the key (of) s1\r\nX: is no key\\",
  };
  const [, feedback = ""] = parts({}, {
    kind: "dkim",
    failure: { type: "dkim", dkim },
    domain: "bad.example",
    wishes: { from: "dkim", fault: "syntax" },
  });
  assert.match(feedback, /^Auth-Failure: signature \(the key \\\(of\\\) s1 X: is no key\\\\\)\r$/m);
  assert.match(feedback, /^DKIM-Domain: bad\.example\r\nDKIM-Identity: ann@bad\.example\r\nDKIM-Selector: s1\r$/m);
});

Deno.test("of a huge header whole fields are told, and never the body", () => {
  const field = `X-Long: ${"x".repeat(1000)}\r\n`;
  const [, , header = ""] = parts({ head: bytesOf(`${field.repeat(500)}\r\nbody\r\n`) }, spfCase());
  assert.equal(header.length % field.length, 0);
  assert.ok(header.length <= 65_536 && header.length > 60_000);
  assert.equal(parts({}, spfCase())[2], "Subject: x\r\n");
});
