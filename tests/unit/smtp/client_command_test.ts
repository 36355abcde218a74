import assert from "node:assert/strict";
import {
  EVERYTHING_OFFERED,
  formatMailCommand,
  formatRcptCommand,
  NO_EXTENSIONS,
  parseCommand,
  type PeerExtensions,
  readMailParameters,
  readRcptParameters,
} from "../../../src/smtp/mod.ts";

const ALL: PeerExtensions = {
  name: "mx.example.org",
  size: 0,
  pipelining: true,
  chunking: true,
  binarymime: true,
  eightBitMime: true,
  smtputf8: true,
  dsn: true,
  starttls: true,
  requiretls: true,
  auth: ["PLAIN"],
  enhancedStatusCodes: true,
  mtPriority: true,
  deliverBy: true,
  deliverByMinimum: 0,
  futureRelease: true,
  noSoliciting: true,
  limits: {},
};

const PARAMETERS = {
  body: "8bitmime",
  smtputf8: true,
  requiretls: true,
  ret: "hdrs",
  envid: "a b=c",
  auth: "me@example.org",
  mtPriority: -3,
  by: { seconds: 60, mode: "notify", trace: true },
  solicit: "org.example:ADV",
} as const;

Deno.test("a peer without extensions gets the bare commands", () => {
  assert.equal(formatMailCommand("a@example.org", PARAMETERS, NO_EXTENSIONS, 100), "MAIL FROM:<a@example.org>");
  assert.equal(
    formatRcptCommand("b@example.org", {
      notify: { never: true, success: false, failure: false, delay: false },
      orcpt: { type: "rfc822", address: "b@example.org" },
    }, NO_EXTENSIONS),
    "RCPT TO:<b@example.org>",
  );
  assert.equal(formatMailCommand("", {}, NO_EXTENSIONS, 0), "MAIL FROM:<>");
});

Deno.test("a peer with all extensions gets all parameters, and a server reads them back", () => {
  const command = formatMailCommand("a@example.org", PARAMETERS, ALL, 100);
  assert.equal(
    command,
    "MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+20b+3Dc " +
      "AUTH=me@example.org MT-PRIORITY=-3 BY=60;NT SOLICIT=org.example:ADV",
  );
  const parsed = parseCommand(new TextEncoder().encode(command));
  assert.ok(parsed.kind === "command" && parsed.command.verb === "MAIL");
  assert.deepEqual(readMailParameters(parsed.command.parameters, EVERYTHING_OFFERED), {
    kind: "parameters",
    parameters: { ...PARAMETERS, size: 100 },
  });
});

Deno.test("a hold is not passed on", () => {
  assert.equal(formatMailCommand("", { holdFor: 60, holdUntil: 1 }, ALL, 1), "MAIL FROM:<> SIZE=1");
});

Deno.test("BINARYMIME goes only to a peer that takes it", () => {
  assert.match(formatMailCommand("", { body: "binarymime" }, ALL, 1), / BODY=BINARYMIME$/);
  assert.match(formatMailCommand("", { body: "binarymime" }, { ...ALL, binarymime: false }, 1), / BODY=8BITMIME$/);
  assert.equal(formatMailCommand("", { body: "7bit" }, ALL, 1), "MAIL FROM:<> SIZE=1");
});

Deno.test("NOTIFY and ORCPT are passed on as they came", () => {
  const parameters = {
    notify: { never: false, success: true, failure: true, delay: true },
    orcpt: { type: "RFC822", address: "Bob+x@Example.org" },
  };
  const command = formatRcptCommand("bob@example.org", parameters, ALL);
  assert.equal(
    command,
    "RCPT TO:<bob@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=RFC822;Bob+2Bx@Example.org",
  );
  const parsed = parseCommand(new TextEncoder().encode(command));
  assert.ok(parsed.kind === "command" && parsed.command.verb === "RCPT");
  assert.deepEqual(readRcptParameters(parsed.command.parameters, EVERYTHING_OFFERED), {
    kind: "parameters",
    parameters,
  });
});

Deno.test("an international domain reaches a peer without SMTPUTF8 by its A-labels", () => {
  const plain = { ...ALL, smtputf8: false };
  assert.equal(formatRcptCommand("a@bücher.example", {}, plain), "RCPT TO:<a@xn--bcher-kva.example>");
  assert.equal(formatRcptCommand("a@bücher.example", {}, ALL), "RCPT TO:<a@bücher.example>");
  const orcpt = { type: "utf-8", address: "ä@example.org" };
  assert.match(formatRcptCommand("a@example.org", { orcpt }, plain), /ORCPT=utf-8;\\x\{E4\}@example.org$/);
  assert.match(formatRcptCommand("a@example.org", { orcpt }, ALL), /ORCPT=utf-8;ä@example.org$/);
});

Deno.test("no address can break out of its command", () => {
  const hostile = 'x>\r\nRCPT TO:<y"@example.org';
  assert.equal(formatRcptCommand(hostile, {}, ALL), 'RCPT TO:<"x>??RCPT TO:<y\\""@example.org>');
});
