import assert from "node:assert/strict";
import { type ResolveOptions, resolveRecipient } from "../../../src/directory/mod.ts";
import { LookupUnavailable } from "../../../src/expression/mod.ts";
import { directoryOf, principal } from "./people.ts";

const { directory } = directoryOf([
  principal({ name: "ana", email: ["ana@example.net", "@example.net"], emailList: ["news@example.net"] }),
  principal({ name: "bob", email: ["bob@example.org"], emailList: ["all@example.org", "solo@example.org"] }),
  principal({ name: "eve", email: ["eve@example.org"], emailList: ["all@example.org"] }),
  principal({ name: "plus", email: ["+odd@example.org"] }),
  principal({ name: "nomail", emailList: ["hidden@example.org"] }),
]);

function resolve(address: string, options: Partial<ResolveOptions> = {}) {
  return resolveRecipient(directory, address, { subAddressing: true, catchAll: true, ...options });
}

function local(address: string, ...accounts: string[]) {
  return { kind: "local", accounts, address };
}

Deno.test("a domain that is not served is not local", async () => {
  assert.deepEqual(await resolve("ana@example.com"), { kind: "not-local" });
});

Deno.test("an address of one account is accepted as it was given", async () => {
  assert.deepEqual(await resolve("bob@example.org"), local("bob@example.org", "bob"));
  assert.deepEqual(await resolve("BOB@example.org"), local("BOB@example.org", "bob"));
});

Deno.test("sub-addressing drops the tag for the look-up and keeps it in the recipient", async () => {
  assert.deepEqual(await resolve("bob+news@example.org"), local("bob+news@example.org", "bob"));
  assert.deepEqual(await resolve("bob+a+b@example.org"), local("bob+a+b@example.org", "bob"));
  assert.deepEqual(await resolve("bob+@example.org"), local("bob+@example.org", "bob"));
  assert.deepEqual(await resolve("nobody+bob@example.org"), { kind: "unknown" });
});

Deno.test("a plus at the start or in a quoted local part is no tag", async () => {
  assert.deepEqual(await resolve("+odd@example.org"), local("+odd@example.org", "plus"));
  assert.deepEqual(await resolve('"bob+x"@example.org'), { kind: "unknown" });
});

Deno.test("sub-addressing switched off looks the address up as given", async () => {
  assert.deepEqual(await resolve("bob+news@example.org", { subAddressing: false }), { kind: "unknown" });
});

Deno.test("an address as the result of sub-addressing is looked up instead", async () => {
  const options = { subAddressing: "bob@example.org" };
  assert.deepEqual(await resolve("bob-news@example.org", options), local("bob@example.org", "bob"));
  assert.deepEqual(await resolve("eve@example.org", { subAddressing: "" }), local("eve@example.org", "eve"));
});

Deno.test("unknown addresses go to the account that owns @domain, if catch-all is on", async () => {
  assert.deepEqual(await resolve("whoever@example.net"), local("ana@example.net", "ana"));
  assert.deepEqual(await resolve("whoever@example.org"), { kind: "unknown" });
  assert.deepEqual(await resolve("whoever@example.net", { catchAll: false }), { kind: "unknown" });
});

Deno.test("an address as the result of catch-all is used instead, if anybody has it", async () => {
  assert.deepEqual(
    await resolve("whoever@example.org", { catchAll: "eve@example.org" }),
    local("eve@example.org", "eve"),
  );
  assert.deepEqual(await resolve("whoever@example.org", { catchAll: "gone@example.org" }), { kind: "unknown" });
  assert.deepEqual(await resolve("whoever@example.org", { catchAll: "" }), { kind: "unknown" });
  assert.deepEqual(await resolve("bob@example.org", { catchAll: "eve@example.org" }), local("bob@example.org", "bob"));
});

Deno.test("a list of several keeps its address, a list of one is its account's primary address", async () => {
  assert.deepEqual(await resolve("all@example.org"), local("all@example.org", "bob", "eve"));
  assert.deepEqual(await resolve("solo@example.org"), local("bob@example.org", "bob"));
  assert.deepEqual(await resolve("hidden@example.org"), local("hidden@example.org", "nomail"));
});

Deno.test("postmaster without a domain is that of the host, its domain or a local domain, whichever exists", async () => {
  const of = (...emails: string[]) =>
    directoryOf([principal({ name: "ana", email: ["ana@a.example", ...emails] })], ["b.example"]).directory;
  const ask = (directory: ReturnType<typeof of>, name = "Postmaster") =>
    resolveRecipient(directory, name, { subAddressing: true, catchAll: false, hostname: "MX.example.net" });
  assert.deepEqual(
    await ask(of("postmaster@mx.example.net", "postmaster@example.net")),
    local("postmaster@mx.example.net", "ana"),
  );
  assert.deepEqual(
    await ask(of("postmaster@example.net", "postmaster@b.example")),
    local("postmaster@example.net", "ana"),
  );
  assert.deepEqual(await ask(of("postmaster@b.example")), local("postmaster@b.example", "ana"));
  assert.deepEqual(await ask(of()), { kind: "unknown" });
  assert.deepEqual(await ask(of("postmaster@b.example"), "root"), { kind: "not-local" });
});

Deno.test("a directory that cannot be reached is no answer", async () => {
  const down = { ...directory, recipients: () => Promise.reject(new LookupUnavailable("down")) };
  await assert.rejects(
    resolveRecipient(down, "bob@example.org", { subAddressing: true, catchAll: true }),
    LookupUnavailable,
  );
});
