import assert from "node:assert/strict";
import { NO_EXTENSIONS, parseEhlo, reply } from "../../../src/smtp/mod.ts";

Deno.test("every extension is recognised in any case", () => {
  const peer = parseEhlo(reply(
    250,
    "",
    "mx.example.org at your service",
    "size 35882577",
    "PIPELINING",
    "CHUNKING",
    "BINARYMIME",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "STARTTLS",
    "REQUIRETLS",
    "AUTH PLAIN login",
    "ENHANCEDSTATUSCODES",
    "MT-PRIORITY MIXER",
    "DELIVERBY 240",
    "FUTURERELEASE 86400 2026-12-31T00:00:00Z",
    "NO-SOLICITING org.example:ADV",
    "LIMITS RCPTMAX=50 MAILMAX=10 RCPTDOMAINMAX=1 OTHER=x",
    "X-UNKNOWN stuff",
  ));
  assert.deepEqual(peer, {
    name: "mx.example.org",
    size: 35882577,
    pipelining: true,
    chunking: true,
    binarymime: true,
    eightBitMime: true,
    smtputf8: true,
    dsn: true,
    starttls: true,
    requiretls: true,
    auth: ["PLAIN", "LOGIN"],
    enhancedStatusCodes: true,
    mtPriority: true,
    deliverBy: true,
    deliverByMinimum: 240,
    futureRelease: true,
    noSoliciting: true,
    limits: { rcptMax: 50, mailMax: 10, rcptDomainMax: 1 },
  });
});

Deno.test("a bare greeting offers nothing", () => {
  assert.deepEqual(parseEhlo(reply(250, "", "mx.example.org")), { ...NO_EXTENSIONS, name: "mx.example.org" });
  assert.deepEqual(parseEhlo(reply(250, "", "")), NO_EXTENSIONS);
});

Deno.test("SIZE without a number and SIZE 0 set no limit", () => {
  assert.equal(parseEhlo(reply(250, "", "mx", "SIZE")).size, 0);
  assert.equal(parseEhlo(reply(250, "", "mx", "SIZE 0")).size, 0);
  assert.equal(parseEhlo(reply(250, "", "mx", "SIZE many")).size, 0);
});

Deno.test("the old spelling of AUTH adds to the new one", () => {
  assert.deepEqual(parseEhlo(reply(250, "", "mx", "AUTH PLAIN", "AUTH=LOGIN PLAIN")).auth, ["PLAIN", "LOGIN"]);
});

Deno.test("BINARYMIME counts only with CHUNKING", () => {
  assert.equal(parseEhlo(reply(250, "", "mx", "BINARYMIME")).binarymime, false);
});

Deno.test("limits that make no sense are passed over", () => {
  assert.deepEqual(parseEhlo(reply(250, "", "mx", "LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX")).limits, {});
});
