import assert from "node:assert/strict";
import type { PolicyDiscovery } from "../../../../src/authentication/mod.ts";
import { escapeXml, type FeedbackMetadata, feedbackXml } from "../../../../src/report/dmarc/feedback_xml.ts";
import { decodePolicy, encodePolicy } from "../../../../src/report/dmarc/policy.ts";
import { encodeRow, rowOf } from "../../../../src/report/dmarc/row.ts";
import { dkim, observation, type ObservationParts, recordOf, spf } from "./observation.ts";

const metadata: FeedbackMetadata = {
  orgName: "Example Net",
  email: "noreply-dmarc@example.net",
  reportId: "0123abcd",
  begins: Date.UTC(2026, 0, 5),
  ends: Date.UTC(2026, 0, 6),
  errors: [],
  generator: "godwit 1",
};

async function xml(
  messages: readonly ObservationParts[],
  { discovery = "psl", record = "v=DMARC1; p=reject; sp=quarantine; pct=50; fo=1:d; aspf=s", ...more }:
    & { discovery?: PolicyDiscovery; record?: string }
    & Partial<FeedbackMetadata> = {},
): Promise<string> {
  const policy = decodePolicy(encodePolicy(recordOf(record), discovery));
  const pages = async function* () {
    for (const parts of messages) {
      yield await Promise.resolve([{ result: encodeRow(rowOf(observation(parts))), count: 7 }]);
    }
  };
  let text = "";
  for await (const piece of feedbackXml({ ...metadata, ...more }, "example.org", policy, pages())) text += piece;
  return text.replaceAll("\n", "");
}

Deno.test("a report in the format of RFC 7489", async () => {
  const message: ObservationParts = {
    ip: "2001:db8::1",
    dkim: [dkim("example.org", "s1"), dkim("other.example", "s2", "fail")],
    spf: spf("bounces.example.org", "softfail"),
    dmarc: { spfAligned: false, dkimAligned: true },
  };
  assert.equal(
    await xml([message]),
    '<?xml version="1.0" encoding="UTF-8"?><feedback><version>1.0</version>' +
      "<report_metadata><org_name>Example Net</org_name><email>noreply-dmarc@example.net</email>" +
      "<report_id>0123abcd</report_id><date_range><begin>1767571200</begin><end>1767657599</end></date_range>" +
      "</report_metadata>" +
      "<policy_published><domain>example.org</domain><adkim>r</adkim><aspf>s</aspf><p>reject</p><sp>quarantine</sp>" +
      "<pct>50</pct><fo>1:d</fo></policy_published>" +
      "<record><row><source_ip>2001:db8:0:0:0:0:0:1</source_ip><count>7</count>" +
      "<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>" +
      "<identifiers><envelope_from>bounces.example.org</envelope_from><header_from>example.org</header_from>" +
      "</identifiers><auth_results>" +
      "<dkim><domain>example.org</domain><selector>s1</selector><result>pass</result></dkim>" +
      "<dkim><domain>other.example</domain><selector>s2</selector><result>fail</result></dkim>" +
      "<spf><domain>bounces.example.org</domain><scope>mfrom</scope><result>softfail</result></spf>" +
      "</auth_results></record></feedback>",
  );
});

Deno.test("a report in the format of RFC 9990, for policies that are found as RFC 9989 has it", async () => {
  const text = await xml([{}], { discovery: "treewalk", record: "v=DMARC1; p=quarantine; np=reject; t=y" });
  assert.ok(text.includes('<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>'));
  assert.ok(text.includes("<generator>godwit 1</generator></report_metadata>"));
  assert.ok(text.includes(
    "<p>quarantine</p><sp>quarantine</sp><np>reject</np><fo>0</fo><testing>y</testing>" +
      "<discovery_method>treewalk</discovery_method></policy_published>",
  ));
  assert.ok(text.includes("<disposition>pass</disposition>"));
});

Deno.test("reasons are those of the format", async () => {
  const sampled: ObservationParts = {
    dmarc: { result: "fail", spfAligned: false, disposition: "quarantine", override: "sampled_out" },
  };
  const testing: ObservationParts = {
    record: "v=DMARC1; p=reject; t=y; rua=mailto:r@example.org",
    dmarc: { result: "fail", spfAligned: false, disposition: "quarantine", override: "other" },
  };
  const types = async (discovery: PolicyDiscovery) =>
    [...(await xml([sampled, testing], { discovery })).matchAll(/<type>(\w+)<\/type>/g)].map(([, type]) => type);
  assert.deepEqual(await types("psl"), ["sampled_out", "local_policy", "other", "local_policy"]);
  assert.deepEqual(await types("treewalk"), ["other", "local_policy", "policy_test_mode", "local_policy"]);
});

Deno.test("contact and errors are told where there are some", async () => {
  const text = await xml([{}], { contactInfo: "https://example.net/contact", errors: ["one", "two"] });
  assert.ok(text.includes("<extra_contact_info>https://example.net/contact</extra_contact_info><report_id>"));
  assert.ok(text.includes("</date_range><error>one</error><error>two</error></report_metadata>"));
  const newer = await xml([{}], { errors: ["one", "two"], discovery: "treewalk" });
  assert.ok(newer.includes("<error>one; two</error>"));
});

Deno.test("what strangers write stays text", async () => {
  const text = await xml([{ dkim: [dkim("a.example", '</selector><x y="&">\u0000\u000b\ud800')] }], {
    orgName: "A & B <c>",
  });
  assert.ok(text.includes("<org_name>A &amp; B &lt;c&gt;</org_name>"));
  assert.ok(text.includes("<selector>&lt;/selector&gt;&lt;x y=&quot;&amp;&quot;&gt;\ufffd\ufffd\ufffd</selector>"));
  assert.equal(escapeXml("a\tb\u{1f600}\u0085"), "a\tb\u{1f600}\u0085");
  assert.equal(escapeXml("\ufffe]]>"), "\ufffd]]&gt;");
});
