import assert from "node:assert/strict";
import { publishedPolicy, stsAnswer } from "../../../src/http/mod.ts";

const WEEK = 7 * 86_400_000;
const enforce = { mode: "enforce", maxAge: WEEK, mx: undefined } as const;

Deno.test("the policy names the hosts of the certificates, unless others are configured (RFC 8461 §3.2)", () => {
  const names = ["mx1.example.net", "*.example.org", "mx1.example.net", "localhost"];
  assert.equal(
    publishedPolicy(enforce, names)?.text,
    "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.net\r\nmx: *.example.org\r\nmax_age: 604800\r\n",
  );
  assert.equal(
    publishedPolicy({ mode: "testing", maxAge: 90_500, mx: ["mx.example.com"] }, names)?.text,
    "version: STSv1\r\nmode: testing\r\nmx: mx.example.com\r\nmax_age: 90\r\n",
  );
});

Deno.test("without a host there is no policy, but none can be said all the same", () => {
  assert.equal(publishedPolicy(enforce, []), undefined);
  assert.equal(
    publishedPolicy({ ...enforce, mode: "none" }, [])?.text,
    "version: STSv1\r\nmode: none\r\nmax_age: 604800\r\n",
  );
});

Deno.test("it is served at the policy host of local domains only", async () => {
  const policy = publishedPolicy(enforce, ["mx1.example.net"]);
  const answer = stsAnswer(policy, (domain) => domain === "example.net");
  const path = "/.well-known/mta-sts.txt";
  assert.deepEqual(await answer(path, "mta-sts.example.net"), {
    contentType: "text/plain; charset=utf-8",
    body: policy?.text,
  });
  for (const host of ["example.net", "mta-sts.example.com", "mta-sts.www.example.net", "mta-sts.", "192.0.2.1"]) {
    assert.equal(await answer(path, host), undefined, host);
  }
  assert.equal(await answer("/.well-known/other.txt", "mta-sts.example.net"), undefined);
  assert.equal(await stsAnswer(undefined, () => true)(path, "mta-sts.example.net"), undefined);
});
