import assert from "node:assert/strict";
import { findDestinations, readDestination } from "../../../src/report/destination.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

const find = (uris: readonly string[], zone: Readonly<Record<string, ZoneEntry>> = {}, domain = "blue.example.com") =>
  findDestinations(uris, { domain, tag: "rua", resolver: createZone(zone) });

const addresses = (found: Awaited<ReturnType<typeof find>>) =>
  found.destinations.map((one) => one.kind === "mailto" ? one.address : one.url.href);

Deno.test("a mailto URI is an address, with a limit in powers of two (RFC 7489 section 6.4)", () => {
  const limit = (uri: string) => {
    const read = readDestination(uri);
    return read?.kind === "mailto" ? [read.address, read.limit] : read;
  };
  assert.deepEqual(limit("mailto:r@example.com"), ["r@example.com", undefined]);
  assert.deepEqual(limit("mailto:r@example.com!500"), ["r@example.com", 500]);
  assert.deepEqual(limit("MAILTO:r@example.com!10m"), ["r@example.com", 10_485_760]);
  assert.deepEqual(limit("mailto:r@example.com!1K"), ["r@example.com", 1024]);
  assert.deepEqual(limit("mailto:a%21b@example.com?subject=x"), ["a!b@example.com", undefined]);
});

Deno.test("URIs of other schemes, without an address or with a wrong limit are none", () => {
  for (
    const uri of [
      "http://example.com/r",
      "ftp://example.com",
      "mailto:",
      "mailto:nobody",
      "mailto:r@example.com!10x",
      "mailto:r@example.com!",
      "mailto:%zz@example.com",
      "mailto:a@example.com,b@example.com",
      "https://user:secret@example.com/",
      "https://",
      "r@example.com",
    ]
  ) assert.equal(readDestination(uri), undefined, uri);
});

Deno.test("an https URI keeps its path and query", () => {
  const read = readDestination("https://reports.example.com:8443/v1/tls?key=a");
  assert.ok(read?.kind === "https");
  assert.equal(read.url.href, "https://reports.example.com:8443/v1/tls?key=a");
  assert.equal(read.domain, "reports.example.com");
});

Deno.test("places of the same organization get reports without being asked", async () => {
  const found = await find(["mailto:a@example.com", "mailto:b@green.example.com", "mailto:c@blue.example.com"]);
  assert.deepEqual(addresses(found), ["a@example.com", "b@green.example.com", "c@blue.example.com"]);
});

Deno.test("another organization gets reports if it has said so (RFC 7489 section 7.1)", async () => {
  const found = await find(["mailto:reports@red.example.net", "mailto:x@yellow.example.org"], {
    "blue.example.com._report._dmarc.red.example.net": { txt: ["v=DMARC1"] },
    "blue.example.com._report._dmarc.yellow.example.org": { txt: ["v=spf1 -all", "dmarc"] },
  });
  assert.deepEqual(addresses(found), ["reports@red.example.net"]);
  assert.deepEqual(found.unauthorized, ["mailto:x@yellow.example.org"]);
});

Deno.test("another organization may name another address, at the same host only", async () => {
  const found = await find(["mailto:a@red.example.net", "mailto:b@yellow.example.org", "mailto:c@pink.example"], {
    "blue.example.com._report._dmarc.red.example.net": { txt: ["v=DMARC1; rua=mailto:other@red.example.net!1m"] },
    "blue.example.com._report._dmarc.yellow.example.org": { txt: ["v=DMARC1; rua=mailto:b@elsewhere.example"] },
    "blue.example.com._report._dmarc.pink.example": { txt: ["v=DMARC1; ruf=mailto:failures@pink.example;"] },
  });
  assert.deepEqual(addresses(found), ["other@red.example.net", "c@pink.example"]);
  assert.equal(found.destinations[0]?.kind === "mailto" && found.destinations[0].limit, 1_048_576);
  assert.deepEqual(found.unauthorized, ["mailto:b@yellow.example.org"]);
});

Deno.test("where DNS does not answer nothing is known", async () => {
  const found = await find(["mailto:a@red.example.net", "mailto:b@example.com"], {
    "blue.example.com._report._dmarc.red.example.net": { error: "timeout" },
  });
  assert.deepEqual(addresses(found), ["b@example.com"]);
  assert.deepEqual(found.unknown, ["mailto:a@red.example.net"]);
});

Deno.test("a place that is named twice gets one report", async () => {
  const zone = { "blue.example.com._report._dmarc.red.example.net": { txt: ["v=DMARC1"] } };
  const found = await find(
    ["mailto:a@red.example.net", "mailto:a@red.example.net!5m", "mailto:z@red.example.net"],
    zone,
  );
  assert.deepEqual(addresses(found), ["a@red.example.net", "z@red.example.net"]);
});

Deno.test("a host is asked once, and not under a name that DNS cannot hold", async () => {
  const zone = createZone({});
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(50)}.example`;
  const uris = ["mailto:a@red.example.net", "mailto:b@red.example.net", `mailto:a@${long}`];
  const found = await findDestinations(uris, { domain: "blue.example.com", tag: "rua", resolver: zone });
  assert.deepEqual(zone.asked, ["TXT blue.example.com._report._dmarc.red.example.net"]);
  assert.deepEqual(found.unauthorized, uris);
});
