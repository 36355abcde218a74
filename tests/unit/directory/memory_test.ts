import assert from "node:assert/strict";
import { directoryOf, principal } from "./people.ts";

// "correct horse battery staple", made by crypt(3).
const HASH = "$6$rounds=1000$ab$.wgSWarRDZHJ/.AAZr6wXHAk8UNRj3Z6oBRH.eJ3Wtg.7W81hh4pAAz3/U1LkgB.b5lA696GF7vLNaUNdGMxa.";
const MD5 = "$1$abcdefgh$4/U5.w6NPtLkJ2WyrTwm91";
const PASSWORD = "correct horse battery staple";

const { directory } = directoryOf([
  principal({
    name: "ana",
    description: "Ana Lopez",
    class: "admin",
    email: ["Ana@Example.NET", "postmaster@example.net", "@example.net"],
    emailList: ["all@lists.example.net"],
    memberOf: ["sales"],
  }),
  principal({ name: "bob", email: ["bob@example.org"], emailList: ["all@lists.example.net"], memberOf: ["sales"] }),
  principal({ name: "sales", class: "group", email: ["sales@example.net"], memberOf: ["everyone"] }),
  principal({ name: "everyone", class: "group", email: ["everyone@example.net"], memberOf: ["sales"] }),
  principal({ name: "empty", class: "group", email: ["empty@example.net"] }),
  principal({ name: "nomail" }),
], ["Extra.example"]);

Deno.test("a domain is local if it is listed or if an address of any principal is in it", () => {
  for (const domain of ["example.net", "EXAMPLE.org", "lists.example.net", "extra.example"]) {
    assert.equal(directory.isLocalDomain(domain), true, domain);
  }
  for (const domain of ["example.com", "sub.example.net", ""]) assert.equal(directory.isLocalDomain(domain), false);
  assert.deepEqual([...directory.localDomains()].sort(), [
    "example.net",
    "example.org",
    "extra.example",
    "lists.example.net",
  ]);
});

Deno.test("an address belongs to the principal that has it, whatever its case", () => {
  assert.deepEqual(directory.recipients("ana@example.net"), ["ana"]);
  assert.deepEqual(directory.recipients("ANA@EXAMPLE.NET"), ["ana"]);
  assert.deepEqual(directory.recipients("PostMaster@example.net"), ["ana"]);
  assert.deepEqual(directory.recipients("ana@example.org"), []);
  assert.deepEqual(directory.recipients("nobody@example.net"), []);
  assert.deepEqual(directory.recipients("ana"), []);
});

Deno.test("@domain is the catch-all of its owner", () => {
  assert.deepEqual(directory.recipients("@example.net"), ["ana"]);
  assert.deepEqual(directory.recipients("@example.org"), []);
});

Deno.test("a list address expands to every principal naming it", () => {
  assert.deepEqual(directory.recipients("all@lists.example.net"), ["ana", "bob"]);
});

Deno.test("mail to a group goes to its members, groups in groups included; a group without members is itself", () => {
  assert.deepEqual(directory.recipients("sales@example.net"), ["ana", "bob"]);
  assert.deepEqual(directory.recipients("everyone@example.net"), ["ana", "bob"]);
  assert.deepEqual(directory.recipients("empty@example.net"), ["empty"]);
});

Deno.test("accounts are found by login name, addresses with their domain in lower case", () => {
  assert.deepEqual(directory.account("ana"), {
    name: "ana",
    class: "admin",
    description: "Ana Lopez",
    emails: ["Ana@example.net", "postmaster@example.net", "@example.net"],
  });
  assert.deepEqual(directory.account("nomail"), { name: "nomail", class: "individual", emails: [] });
  assert.equal(directory.account("Ana"), undefined);
  assert.equal(directory.account("ana@example.net"), undefined);
});

Deno.test("any secret of the account is accepted, nothing else is", async () => {
  const { directory } = directoryOf([principal({ name: "ana", secret: ["plain", HASH] }), principal({ name: "bob" })]);
  const login = async (name: string, password: string) => (await directory.login(name, password)).kind;
  assert.deepEqual(await directory.login("ana", "plain"), {
    kind: "accepted",
    account: { name: "ana", class: "individual", emails: [] },
  });
  assert.equal(await login("ana", PASSWORD), "accepted");
  assert.equal(await login("ana", "wrong"), "refused");
  assert.equal(await login("ana", ""), "refused");
  assert.equal(await login("ana", HASH), "refused");
  assert.equal(await login("bob", PASSWORD), "refused");
  assert.equal(await login("nobody", PASSWORD), "refused");
});

Deno.test("one slow hash of the usual kind is checked whoever logs in, and grants nothing to the others", async () => {
  const { directory, checked } = directoryOf([
    principal({ name: "odd", secret: [MD5] }),
    principal({ name: "ana", secret: [HASH] }),
    principal({ name: "bob", secret: [HASH] }),
    principal({ name: "plain", secret: ["plain"] }),
    principal({ name: "none" }),
  ]);
  const slowChecks = async (name: string, password: string) => {
    checked.length = 0;
    const { kind } = await directory.login(name, password);
    return [kind, checked.filter((secret) => secret === HASH).length];
  };
  assert.deepEqual(await slowChecks("ana", PASSWORD), ["accepted", 1]);
  assert.deepEqual(await slowChecks("ana", "wrong"), ["refused", 1]);
  assert.deepEqual(await slowChecks("nobody", PASSWORD), ["refused", 1]);
  assert.deepEqual(await slowChecks("none", PASSWORD), ["refused", 1]);
  assert.deepEqual(await slowChecks("plain", PASSWORD), ["refused", 1]);
  assert.deepEqual(await slowChecks("plain", "plain"), ["accepted", 1]);
});

Deno.test("plain secrets can be told where there are some, and only those of their account", async () => {
  const { directory } = directoryOf([
    principal({ name: "ana", secret: ["{PLAIN}one", HASH, "two"] }),
    principal({ name: "bob", secret: [HASH] }),
  ]);
  assert.deepEqual(await directory.plainSecrets?.("ana"), ["one", "two"]);
  assert.deepEqual(await directory.plainSecrets?.("bob"), []);
  assert.deepEqual(await directory.plainSecrets?.("nobody"), []);
  assert.equal(directoryOf([principal({ name: "bob", secret: [HASH] })]).directory.plainSecrets, undefined);
});
