/** TLS reports: the JSON of RFC 8460 §4.4. */

import type { TlsFailure, TlsPolicyResult, TlsReport } from "./incoming.ts";
import { fromFileName, type ReportHints } from "./hints.ts";
import { MOST_DETAILS, MOST_FAILURES, MOST_POLICIES, MOST_VALUES } from "./limits.ts";
import { clip, count, createProblems, domainName, ipAddress, type Problems, time, word } from "./value.ts";
import { FormatError } from "./xml.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a report.
 *
 * @throws {FormatError} if it is none
 */
export function readTlsReport(text: string, hints: ReportHints): TlsReport {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`it is no JSON (${clip(error instanceof Error ? error.message : String(error), 200)})`);
  }
  // Some wrap the report in a list.
  const root = fieldsOf(Array.isArray(parsed) && parsed.length === 1 ? parsed[0] : parsed);
  const given = root?.["policies"];
  if (root === undefined || given === undefined) throw new FormatError("it is JSON without a list of policies");
  const problems = createProblems();
  const named = fromFileName(hints.fileName);
  const about = hints.domain || named?.domain || "";
  const listed = Array.isArray(given) ? given : [given];
  const room = { details: MOST_DETAILS };
  const policies = listed.slice(0, MOST_POLICIES).flatMap((entry) => {
    const policy = readPolicy(fieldsOf(entry), about, room, problems);
    return policy === undefined ? [] : [policy];
  });
  if (listed.length > MOST_POLICIES) problems.note(`only the first ${MOST_POLICIES} policies were read`);
  if (policies.length === 0) throw new FormatError("it has no policy that names a domain");
  const range = fieldsOf(root["date-range"]) ?? {};
  const begin = time(textOf(range["start-datetime"])) ?? named?.begin;
  const end = time(textOf(range["end-datetime"])) ?? named?.end;
  if (begin === undefined) problems.note("date-range is missing or no time");
  const reporter = clip(textOf(root["organization-name"]));
  if (reporter === "") problems.note("organization-name is missing");
  return {
    kind: "tls",
    reporter: reporter || named?.receiver || hints.sender,
    contact: clip(textOf(root["contact-info"])),
    reportId: clip(textOf(root["report-id"])),
    begin,
    end: begin !== undefined && end !== undefined && end < begin ? undefined : end,
    policies,
    problems: problems.list,
  };
}

function readPolicy(
  entry: Fields | undefined,
  about: string,
  room: { details: number },
  problems: Problems,
): TlsPolicyResult | undefined {
  if (entry === undefined) return undefined;
  const policy = fieldsOf(entry["policy"]) ?? {};
  const summary = fieldsOf(entry["summary"]) ?? {};
  const given = domainName(textOf(policy["policy-domain"]));
  const domain = given || about;
  if (given === "" && domain !== "") {
    problems.note("a policy without policy-domain was taken for one of the report's domain");
  }
  if (domain === "") {
    problems.note("a policy without policy-domain was left out");
    return undefined;
  }
  const details = entry["failure-details"];
  const listed = Array.isArray(details) ? details : details === undefined || details === null ? [] : [details];
  const failures: TlsFailure[] = [];
  for (const failure of listed) {
    if (failures.length >= MOST_FAILURES || room.details <= 0) {
      problems.note("not all failures were read, there are too many");
      break;
    }
    const fields = fieldsOf(failure);
    if (fields === undefined) continue;
    const read = readFailure(fields, problems);
    failures.push(read);
    room.details -= JSON.stringify(read).length;
  }
  const detailed = failures.reduce((sum, { sessions }) => sum + sessions, 0);
  const succeeded = sessions(summary["total-successful-session-count"]);
  const failed = sessions(summary["total-failure-session-count"]);
  if (succeeded === undefined || failed === undefined) problems.note("a summary lacks a number of sessions");
  return {
    type: word(textOf(policy["policy-type"])),
    domain,
    policy: textsOf(policy["policy-string"]),
    // The RFC's text calls it mx-host, its schema mx-host-pattern.
    mxHosts: textsOf(policy["mx-host"] ?? policy["mx-host-pattern"]).map(domainName),
    succeeded: succeeded ?? 0,
    failed: failed ?? detailed,
    failures,
  };
}

function readFailure(fields: Fields, problems: Problems): TlsFailure {
  const given = sessions(fields["failed-session-count"]);
  if (given === undefined) problems.note("a failure without failed-session-count was taken for one session");
  return {
    result: word(textOf(fields["result-type"])),
    sendingIp: ipAddress(textOf(fields["sending-mta-ip"])),
    mx: domainName(textOf(fields["receiving-mx-hostname"])),
    receivingIp: ipAddress(textOf(fields["receiving-ip"])),
    helo: clip(textOf(fields["receiving-mx-helo"]), 255),
    sessions: given ?? 1,
    information: clip(textOf(fields["additional-information"])),
    reason: clip(textOf(fields["failure-reason-code"])),
  };
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Fields : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function textsOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.slice(0, MOST_VALUES).map((item) => clip(textOf(item))).filter((text) => text !== "");
}

/** Numbers, also those that were written as text. */
function sessions(value: unknown): number | undefined {
  return count(textOf(value));
}
