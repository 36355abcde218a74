/** Reports of others over the management API and on the status page. */

import assert from "node:assert/strict";
import { columnChart, percent } from "../../../src/http/status/chart.ts";
import type { ReceivedReports, ReportDetail, ReportFilter, ReportTrends, ReportView } from "../../../src/report/mod.ts";
import { world } from "./support.ts";

const HOSTILE = `"><script>alert('x')</script>`;
const ESCAPED = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";

const VIEW: ReportView = {
  id: "06zjnm7xc00",
  kind: "dmarc",
  received: "2026-01-05T11:00:00.000Z",
  reporter: "big.example",
  domain: "example.org",
  begin: "2026-01-04T00:00:00.000Z",
  end: "2026-01-04T23:59:59.000Z",
  passed: 12,
  failed: 4,
};

const DETAIL: ReportDetail = {
  ...VIEW,
  expires: "2026-02-04T11:00:00.000Z",
  mail: { from: "noreply@big.example", to: "in@example.org", remoteIp: "192.0.2.50", dmarc: "pass" },
  report: {
    kind: "dmarc",
    reporter: "big.example",
    contact: "noreply@big.example",
    reportId: "77",
    begin: undefined,
    end: undefined,
    policy: {
      ...{ domain: "example.org", p: "reject", sp: "", np: "", adkim: "", aspf: "", pct: "", fo: "" },
      ...{ testing: "", discoveryMethod: "" },
    },
    totals: {
      ...{ messages: 16, passed: 12, failed: 4, dkimPassed: 12, spfPassed: 10 },
      ...{ accepted: 12, quarantined: 1, rejected: 3 },
    },
    failing: [],
    records: [{
      source: "203.0.113.9",
      count: 4,
      disposition: "reject",
      dkim: "fail",
      spf: "fail",
      reasons: [{ type: "local_policy", comment: HOSTILE }],
      headerFrom: "example.org",
      envelopeFrom: "",
      envelopeTo: "",
      dkimResults: [],
      spfResults: [],
    }],
    recordsLeftOut: 7,
    errors: [],
    problems: ["report_metadata/org_name is missing"],
  },
};

const TRENDS: ReportTrends = {
  days: [
    { day: "2026-01-03", kinds: {} },
    { day: "2026-01-04", kinds: { dmarc: { passed: 1200, failed: 300 }, tls: { passed: 50, failed: 0 } } },
    { day: "2026-01-05", kinds: { dmarc: { passed: 400, failed: 0 } } },
  ],
  domains: [{ kind: "dmarc", domain: "example.org", passed: 1600, failed: 300 }],
  reporters: [{ kind: "dmarc", reporter: HOSTILE, reports: 2, passed: 1600, failed: 300 }],
  failingSources: [
    { source: "203.0.113.9", domain: "example.org", detail: "", failed: 300, reports: 2 },
    { source: "198.51.100.3", domain: "example.org", detail: "", failed: 75, reports: 1 },
  ],
  tlsFailures: [{
    source: "mx1.example.org",
    domain: "example.org",
    detail: "certificate-expired",
    failed: 9,
    reports: 1,
  }],
  complaints: [],
  bounces: [],
};

function reports(changes: Partial<ReceivedReports> = {}) {
  const asked: unknown[] = [];
  const receivedReports: ReceivedReports = {
    list(filter) {
      asked.push(filter);
      return Promise.resolve([VIEW]);
    },
    show: (id) => Promise.resolve(id === VIEW.id ? DETAIL : undefined),
    remove(id) {
      asked.push(`remove ${id}`);
      return Promise.resolve(id === VIEW.id);
    },
    trends(days, domain) {
      asked.push(`trends ${days} ${domain ?? ""}`.trim());
      return Promise.resolve(TRENDS);
    },
    ...changes,
  };
  return { ...world({ receivedReports }), asked };
}

const words = (page: string) => page.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");

Deno.test("the API lists reports by its parameters", async () => {
  const { ask, asked, clock } = reports();
  const response = await ask(
    "/api/reports/incoming?kind=dmarc&domain=example.org&reporter=big&source=203.0.113.9&failing=true" +
      "&younger-than=1d&older-than=1h&limit=5&after=06zjnm7xd00",
  );
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { reports: [VIEW] });
  const wanted: ReportFilter = {
    kind: "dmarc",
    domain: "example.org",
    reporter: "big",
    source: "203.0.113.9",
    failing: true,
    since: clock.now() - 86_400_000,
    until: clock.now() - 3_600_000,
    limit: 5,
    after: "06zjnm7xd00",
  };
  assert.deepEqual(asked, [wanted]);
});

Deno.test("a parameter that makes no sense is a problem that says what would", async () => {
  const { ask } = reports();
  for (
    const [query, detail] of [
      ["incoming?kind=spam", "kind must be one of dmarc, tls, abuse, auth-failure, dsn, found spam."],
      ["incoming?failing=1", "failing must be true or left out, found 1."],
      ["incoming?limit=0", "limit must be a whole number from 1 to 1000, found 0."],
      ["incoming?after=<x>", "after must be the id of a report."],
      ["trends?days=0", "days must be a whole number from 1 to 400."],
    ] as const
  ) {
    const response = await ask(`/api/reports/${query}`);
    assert.equal(response.status, 400);
    assert.equal((await response.json()).detail, detail);
  }
  assert.match(
    (await (await ask("/api/reports/incoming?form=x")).json()).detail,
    /^Unknown parameter form; known are kind/,
  );
});

Deno.test("the API shows, adds up and deletes", async () => {
  const { ask, asked } = reports();
  assert.deepEqual(
    (await (await ask(`/api/reports/incoming/${VIEW.id}`)).json()).report,
    JSON.parse(JSON.stringify(DETAIL.report)),
  );
  assert.equal((await ask("/api/reports/incoming/1")).status, 404);
  assert.deepEqual(await (await ask("/api/reports/trends?days=3&domain=example.org")).json(), TRENDS);
  assert.equal((await ask(`/api/reports/incoming/${VIEW.id}`, { method: "DELETE" })).status, 200);
  assert.equal((await ask("/api/reports/incoming/1", { method: "DELETE" })).status, 404);
  assert.deepEqual(asked, ["trends 3 example.org", `remove ${VIEW.id}`, "remove 1"]);
});

Deno.test("the page says in words what the charts show", async () => {
  const { ask, asked } = reports();
  const response = await ask("/reports");
  const page = await response.text();
  const text = words(page);
  assert.match(text, /Messages 1,900 Passed 84\.2 % Failed 300 /);
  assert.match(text, /Sessions 50 Encrypted as wanted 100 % Failed 0 /);
  assert.match(text, /203\.0\.113\.9 300 example\.org 2 198\.51\.100\.3 75 example\.org 1/);
  assert.match(text, /mx1\.example\.org 9 example\.org certificate-expired 1/);
  assert.match(text, /big\.example about example\.org DMARC 12 passed, 4 failed · received 1 h ago/);
  assert.match(page, /aria-label="DMARC by day: 1,600 messages passed, 300 failed"/);
  assert.match(page, /<a href="\/reports"\s+aria-current="page"/);
  assert.ok(!page.includes("<script>alert"));
  assert.ok(page.includes(ESCAPED));
  // The page's policy lets no inline style through.
  assert.ok(!/ style=/.test(page));
  assert.deepEqual(asked, ["trends 30", { limit: 25 }]);
});

Deno.test("days and domain of the page are those of its address", async () => {
  const { ask, asked } = reports();
  const page = await (await ask("/reports?days=7&domain=%20Example.org")).text();
  assert.deepEqual(asked, ["trends 7 Example.org", { limit: 25, domain: "Example.org" }]);
  assert.match(page, /href="\/reports\?days=90&amp;domain=Example\.org"/);
  assert.match(page, /name="domain" type="text" value="Example\.org"/);
  assert.equal((await ask("/reports?days=all")).status, 200);
});

Deno.test("without reports the page says where they would come from, without the feature there is no page", async () => {
  const trends = { ...TRENDS, days: [{ day: "2026-01-05", kinds: {} }] };
  const { ask } = reports({ list: () => Promise.resolve([]), trends: () => Promise.resolve(trends) });
  assert.match(words(await (await ask("/reports")).text()), /No reports yet\. The setting report\.analysis\.addresses/);
  const without = world();
  assert.equal((await without.ask("/reports")).status, 404);
  assert.equal((await without.ask("/api/reports/incoming")).status, 404);
  assert.ok(!(await (await without.ask("/")).text()).includes('href="/reports"'));
});

Deno.test("the page of one report shows its records, and what is odd about it", async () => {
  const { ask } = reports();
  const page = await (await ask(`/reports/${VIEW.id}`)).text();
  const text = words(page);
  assert.match(text, /Policy domain=example\.org; p=reject/);
  assert.match(text, /Treated accepted 12, quarantined 1, rejected 3/);
  assert.match(text, /Sent by noreply@big\.example from 192\.0\.2\.50 DMARC pass/);
  assert.match(text, /The report is not as it should be: report_metadata\/org_name is missing \./);
  assert.match(text, /203\.0\.113\.9 4 fail fail reject example\.org local_policy/);
  assert.match(text, /and 7 more/);
  assert.ok(!page.includes("<script>alert"));
  assert.equal((await ask("/reports/1")).status, 404);
});

Deno.test("a report is deleted from its page, and not from the page of another site", async () => {
  const { ask, asked } = reports();
  const from = (origin: string) => ({ method: "POST", headers: { origin, "sec-fetch-site": "same-origin" } });
  const response = await ask(`/reports/${VIEW.id}/delete`, from("http://127.0.0.1:8025"));
  assert.equal(response.status, 303);
  assert.equal(response.headers.get("location"), "/reports");
  const cross = { method: "POST", headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" } };
  assert.equal((await ask(`/reports/${VIEW.id}/delete`, cross)).status, 403);
  assert.deepEqual(asked, [`remove ${VIEW.id}`]);
});

/** The rectangles of a class: where they begin and how high they are. */
function rectangles(svg: string, name: string) {
  return [...svg.matchAll(new RegExp(`<rect\\s+class="${name}"[^>]*?y="([\\d.]+)"[^>]*?height="([\\d.]+)"`, "g"))]
    .map(([, y, height]) => [Number(y), Number(height)] as const);
}

Deno.test("columns are as high as their numbers, failures stand on what passed", async () => {
  const columns = [
    { day: "2026-01-04", passed: 1200, failed: 800 },
    { day: "2026-01-05", passed: 600, failed: 0 },
    { day: "2026-01-06", passed: 0, failed: 0 },
    { day: "2026-01-07", passed: 2000, failed: 1 },
  ];
  const svg = String(await columnChart(columns, { label: "x", unit: "messages" }));
  const [first, second, third, ...none] = rectangles(svg, "passed");
  assert.equal(none.length, 0);
  // To a tenth of a unit, as they are written.
  assert.ok(Math.abs(first![1] / second![1] - 2) < 0.02);
  assert.ok(Math.abs(third![1] / second![1] - 2000 / 600) < 0.02);
  const failed = rectangles(svg, "failed");
  assert.equal(failed.length, 2);
  assert.ok(Math.abs(failed[0]![1] / first![1] - 800 / 1200) < 0.02);
  assert.ok(failed[0]![0] + failed[0]![1] <= first![0]);
  // One among two thousand can still be seen.
  assert.ok(failed[1]![1] >= 2);
  assert.match(svg, /<title>4 Jan: 1,200 passed, 800 failed<\/title>/);
  for (const tick of ["0", "1K", "2K", "3K"]) assert.match(svg, new RegExp(`>${tick}</text>`));
});

Deno.test("a chart of nothing, of one and of very much has an axis", async () => {
  const axis = async (passed: number) =>
    [
      ...String(await columnChart([{ day: "2026-01-04", passed, failed: 0 }], { label: "x", unit: "y" }))
        .matchAll(/text-anchor="end">([^<]+)</g),
    ].map(([, text]) => text);
  assert.deepEqual(await axis(0), ["0", "1"]);
  assert.deepEqual(await axis(1), ["0", "1"]);
  assert.deepEqual(await axis(7), ["0", "2", "4", "6", "8"]);
  assert.deepEqual(await axis(3.2e9), ["0", "1B", "2B", "3B", "4B"]);
});

Deno.test("a part is a whole hundred only if nothing is missing", () => {
  const plain = (part: number, whole: number) => percent(part, whole).replace("\u00a0", " ");
  assert.equal(plain(0, 0), "–");
  assert.equal(plain(5, 5), "100 %");
  assert.equal(plain(0, 5), "0 %");
  assert.equal(plain(99_999, 100_000), "99.9 %");
  assert.equal(plain(1, 100_000), "0.1 %");
  assert.equal(plain(1, 3), "33.3 %");
});
