import assert from "node:assert/strict";
import type { OutgoingReportDetail, OutgoingReports, OutgoingReportView } from "../../../src/report/mod.ts";
import { world } from "./support.ts";

const VIEW: OutgoingReportView = {
  id: "out-12",
  kind: "dmarc",
  domain: "example.org",
  begins: "2026-01-05T00:00:00.000Z",
  ends: "2026-01-06T00:00:00.000Z",
  state: "pending",
  due: "2026-01-06T01:00:00.000Z",
  results: 3,
  attempts: 0,
  handedTo: [],
  problem: "",
};
const DETAIL: OutgoingReportDetail = { ...VIEW, about: {}, counted: [] };

function reports() {
  const asked: unknown[] = [];
  const outgoingReports: OutgoingReports = {
    list(filter) {
      asked.push(filter);
      return Promise.resolve([VIEW]);
    },
    show: (id) => Promise.resolve(id === VIEW.id ? DETAIL : undefined),
    cancel(id) {
      asked.push(`cancel ${id}`);
      return Promise.resolve(id === VIEW.id);
    },
  };
  return { ...world({ outgoingReports }), asked };
}

Deno.test("the API lists reports that go out by its parameters", async () => {
  const { ask, asked } = reports();
  const response = await ask(
    "/api/reports/outgoing?kind=tls&domain=Example.org&state=given-up&limit=5&after=out-3",
  );
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { reports: [VIEW] });
  assert.deepEqual(asked, [{ kind: "tls", domain: "example.org", state: "given-up", limit: 5, after: "out-3" }]);
});

Deno.test("a parameter that makes no sense is a problem", async () => {
  const { ask } = reports();
  for (const query of ["kind=abuse", "state=late", "limit=0", "limit=x", "after=a%20b", "form=x"]) {
    assert.equal((await ask(`/api/reports/outgoing?${query}`)).status, 400, query);
  }
});

Deno.test("the API shows and cancels a report that goes out", async () => {
  const { ask, asked } = reports();
  assert.deepEqual(await (await ask("/api/reports/outgoing/out-12")).json(), DETAIL);
  assert.equal((await ask("/api/reports/outgoing/out-1")).status, 404);
  const cancelled = await ask("/api/reports/outgoing/out-12", { method: "DELETE" });
  assert.deepEqual(await cancelled.json(), { id: "out-12", action: "cancel" });
  assert.equal((await ask("/api/reports/outgoing/out-1", { method: "DELETE" })).status, 404);
  assert.deepEqual(asked, ["cancel out-12", "cancel out-1"]);
});
