import assert from "node:assert/strict";
import { problemsOf } from "./loading.ts";

Deno.test("a policy names hosts, or none at all if it says that there is none", () => {
  assert.deepEqual(problemsOf('session.mta-sts = { mode = "none", mx = [] }'), []);
  assert.deepEqual(problemsOf('session.mta-sts = { mode = "testing", mx = [] }'), [
    "session.mta-sts.mx: line 1: a policy of mode testing has to name at least one host; leave the key out",
  ]);
});

Deno.test("what is no host name is told once", () => {
  assert.deepEqual(problemsOf('session.mta-sts = { mx = ["a b"] }'), [
    'session.mta-sts.mx: line 1: expected a host name such as mx1.example.net, or "*.example.net", found "a b"',
  ]);
});
