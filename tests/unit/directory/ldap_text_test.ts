import assert from "node:assert/strict";
import { fillDn, fillFilter } from "../../../src/directory/ldap_text.ts";

Deno.test("each ? of a filter is replaced, and nothing in a name gets out of its place", () => {
  assert.equal(
    fillFilter("(|(mail=?)(mailAlias=?))", "ana@example.net"),
    "(|(mail=ana@example.net)(mailAlias=ana@example.net))",
  );
  // RFC 4515 §4
  assert.equal(
    fillFilter("(cn=?)", "Parens R Us (for all your parenthetical needs)"),
    String.raw`(cn=Parens R Us \28for all your parenthetical needs\29)`,
  );
  assert.equal(fillFilter("(cn=?)", "*"), String.raw`(cn=\2a)`);
  assert.equal(fillFilter("(filename=?)", String.raw`C:\MyFile`), String.raw`(filename=C:\5cMyFile)`);
  assert.equal(fillFilter("(uid=?)", "x)(uid=*"), String.raw`(uid=x\29\28uid=\2a)`);
  assert.equal(fillFilter("(uid=?)", "a\0b"), String.raw`(uid=a\00b)`);
  assert.equal(fillFilter("(uid=?)", "a?$&b"), "(uid=a?$&b)");
});

Deno.test("a DN is filled with the login name or its parts, escaped", () => {
  assert.equal(fillDn("uid={username},ou=people", "ana@example.net"), "uid=ana@example.net,ou=people");
  assert.equal(fillDn("uid={local},o={domain}", "ana@example.net"), "uid=ana,o=example.net");
  assert.equal(fillDn("uid={local},o={domain}", "ana"), "uid=ana,o=");
  // RFC 4514 §2.4 and §4
  assert.equal(
    fillDn("CN={username},DC=net", 'James "Jim" Smith, III'),
    String.raw`CN=James \"Jim\" Smith\, III,DC=net`,
  );
  assert.equal(fillDn("cn={username}", "a,ou=admins"), String.raw`cn=a\,ou\=admins`);
  assert.equal(fillDn("cn={username}", " #+;<>\\"), String.raw`cn=\ #\+\;\<\>\\`);
  assert.equal(fillDn("cn={username}", "#x "), String.raw`cn=\#x\ `);
  assert.equal(fillDn("cn={username}", "{domain}"), "cn={domain}");
});
