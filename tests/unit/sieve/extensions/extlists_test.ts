/** Lists that are kept elsewhere (RFC 6134). */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, holds, run, type RunOptions } from "../script.ts";

const before = 'require ["extlists", "envelope", "variables", "date", "redirect-dsn", "copy"];';

/** The names that the host is asked for by a list's name in a script. */
async function asked(name: string): Promise<readonly string[]> {
  const names: string[] = [];
  const note = (list: string) => {
    names.push(list);
    return true;
  };
  const host = { inList: note, listExists: note };
  assert.equal(await holds(`header :list "subject" "${name}"`, { before, host }), true);
  assert.equal(await holds(`valid_ext_list "${name}"`, { before, host }), true);
  return names;
}

Deno.test("a colon at the beginning is short for a URN, and the default address book has one name", async () => {
  const book = "urn:ietf:params:sieve:addrbook:default";
  for (const name of [":addrbook:default", ":ADDRBOOK:Default", ":AddrBook:%44%65%66ault", book.toUpperCase()]) {
    assert.deepEqual(await asked(name), [book, book], name);
  }
  for (
    const [name, full] of [
      [":addrbook:Friends%20here", "urn:ietf:params:sieve:addrbook:Friends here"],
      [":addrbook:default?x=y", `${book}?x=y`],
      [":colours", "urn:ietf:params:sieve:colours"],
      ["tag:example.com,2011-01-01:localHolidays", "tag:example.com,2011-01-01:localHolidays"],
      ["blocked", "blocked"],
    ] as const
  ) assert.deepEqual(await asked(name), [full, full], name);
});

Deno.test("header, address, envelope, string and dates are looked up, what was found is the match value", async () => {
  const host = { inList: (list: string, value: string) => list === "l" && value.endsWith("example.org") };
  assert.equal(await holds('header :list "from" "l"', { before, host }), false);
  assert.equal(await holds('address :list :domain "from" ["x", "l"]', { before, host }), true);
  assert.equal(await holds('envelope :list "from" "l"', { before, host }), true);
  assert.equal(await holds('string :list ["x", "example.org"] "l"', { before, host }), true);
  const dates = { inList: (list: string, value: string) => list === "holidays" && value === "1970-01-01" };
  assert.equal(await holds('currentdate :zone "+0000" :list "date" "holidays"', { before, host: dates }), true);
  const script = 'if address :list "from" "l" { redirect "x+${0}"; }'.replace("x+${0}", "${0}");
  assert.deepEqual(actionsOf(await run(`${before} ${script}`, { host })), ["redirect ann@example.org"]);
});

Deno.test("a comparator has no say, and a list has a name", () => {
  assert.equal(errorsOf(`${before} if header :list :comparator "i;octet" "a" "l" {}`).length, 1);
  assert.equal(errorsOf(`${before} if header :list "a" ["l", ""] {}`).length, 1);
});

Deno.test("lists without a host are no lists", async () => {
  assert.equal(await holds('header :list "subject" "l"', { before }), false);
  assert.equal(await holds('valid_ext_list ":addrbook:default"', { before }), false);
});

const redirected = (members: readonly string[] | undefined, options: RunOptions = {}) =>
  run(`${before} redirect :list :copy :notify "NEVER" ":team";`, {
    host: { listMembers: (list) => Promise.resolve(list === "urn:ietf:params:sieve:team" ? members : []) },
    ...options,
  });

Deno.test("redirect :list sends to each member, with what the other tags say", async () => {
  const outcome = await redirected(["a@example.org", "B <b@example.org>"]);
  const told = outcome.actions.map((action) => {
    assert.ok(action.kind === "redirect");
    return [action.address, action.notify, action.copy];
  });
  assert.deepEqual(told, [["a@example.org", "NEVER", true], ["b@example.org", "NEVER", true]]);
  assert.ok(outcome.implicitKeep !== undefined);
  assert.deepEqual(actionsOf(await redirected([])), ["implicit keep"]);
});

Deno.test("a list that cannot be read, or holds what is no address, is an error, and the message is kept", async () => {
  for (
    const [members, why] of [[undefined, /cannot be told/], [
      ["a@example.org", "no address"],
      /'no address' in the list/,
    ]] as const
  ) {
    const outcome = await redirected(members);
    assert.match(outcome.error?.message ?? "", why);
    assert.deepEqual(actionsOf(outcome), ["implicit keep"]);
  }
  assert.match((await redirected(["a@x.org"], { host: {} })).error?.message ?? "", /cannot be told/);
});
