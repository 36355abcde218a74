/**
 * Runs the OpenSPF test suite for RFC 7208 (`rfc7208-tests.yml`, kept outside of this repository) against our SPF and
 * prints the score.
 *
 * deno run -A scripts/conformance/spf.ts PATH
 *
 * A suite file holds scenarios: a zone and tests, each with client address, EHLO name, return path and what may come
 * out.
 */

import { parseAllDocuments } from "yaml";
import { checkSpf } from "../../src/authentication/mod.ts";
import { createZone, type ZoneEntry } from "../../tests/support/zone.ts";

interface SuiteTest {
  readonly host: string;
  readonly helo: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  /** `DEFAULT`: none is published, or none that can be used. */
  readonly explanation?: string;
  readonly spec?: unknown;
}

type SuiteRecord = "TIMEOUT" | Readonly<Record<string, unknown>>;

interface Scenario {
  readonly description?: string;
  readonly tests: Readonly<Record<string, SuiteTest>>;
  readonly zonedata: Readonly<Record<string, readonly SuiteRecord[]>>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The zone of a scenario. `SPF` records stand for TXT records unless there are such; `TIMEOUT` is for what is not given. */
function zoneOf(zonedata: Scenario["zonedata"]) {
  const table: Record<string, Mutable<ZoneEntry> & { unanswered?: boolean }> = {};
  for (const [name, records] of Object.entries(zonedata)) {
    const hasTxt = records.some((record) => typeof record === "object" && "TXT" in record);
    const entry: Record<string, unknown[]> = {};
    let unanswered = false;
    let cname: string | undefined;
    const add = (kind: string, value: unknown) => (entry[kind] ??= []).push(value);
    for (const record of records) {
      if (record === "TIMEOUT") {
        unanswered = true;
        continue;
      }
      for (const [type, value] of Object.entries(record)) {
        const isNone = value === "NONE" || (Array.isArray(value) && value[0] === "NONE");
        if (type === "CNAME") cname = hostName(String(value));
        else if (type === "MX") add("mx", value);
        else if (type === "PTR") add("ptr", hostName(String(value)));
        else if (type === "TXT" && !isNone) add("txt", joined(value));
        else if (type === "SPF" && !hasTxt) add("txt", joined(value));
        else if (type === "A" || type === "AAAA") add(type.toLowerCase(), String(value));
      }
    }
    const key = hostName(name);
    table[reversed(key)] = {
      ...entry,
      ...(cname === undefined ? {} : { cname }),
      ...(unanswered ? { unanswered } : {}),
    };
  }
  const zone = createZone(table);
  const guarded = <T>(kind: "a" | "aaaa" | "mx" | "txt", ask: (name: string) => Promise<T>) => (name: string) => {
    const entry = table[hostName(name)];
    if (entry?.unanswered === true && entry[kind] === undefined) table[hostName(name)] = { ...entry, error: "timeout" };
    return ask(name);
  };
  return {
    ...zone,
    a: guarded("a", zone.a),
    aaaa: guarded("aaaa", zone.aaaa),
    mx: guarded("mx", zone.mx),
    txt: guarded("txt", zone.txt),
  };
}

function joined(value: unknown): string {
  return Array.isArray(value) ? value.join("") : String(value);
}

function hostName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** The address for a name of reverse lookup: the zones of tests keep PTR records under it. */
function reversed(name: string): string {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (v4 !== null) return v4.slice(1).reverse().join(".");
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (v6?.[1] === undefined) return name;
  const nibbles = v6[1].replaceAll(".", "").split("").reverse().join("");
  return new URL(`http://[${nibbles.match(/.{4}/g)?.join(":")}]`).hostname.slice(1, -1);
}

const [path] = Deno.args;
if (path === undefined) {
  console.error("usage: deno run -A scripts/conformance/spf.ts PATH-OF-rfc7208-tests.yml");
  Deno.exit(2);
}
let passed = 0;
let all = 0;
for (const document of parseAllDocuments(await Deno.readTextFile(path))) {
  const scenario = document.toJS() as Scenario | null;
  if (scenario === null) continue;
  for (const [name, test] of Object.entries(scenario.tests)) {
    all++;
    const query = { ip: test.host, helo: test.helo, sender: test.mailfrom, receiver: "receiver.example" };
    const got = await checkSpf({ ...query, identity: "mailfrom" }, {
      resolver: zoneOf(scenario.zonedata),
      now: Date.now,
      random: Math.random,
    });
    const wanted = [test.result].flat();
    const explanation = test.explanation === undefined || (got.explanation ?? "DEFAULT") === test.explanation;
    if (wanted.includes(got.result) && explanation) passed++;
    else {
      console.log(`${scenario.description}: ${name}: wanted ${wanted.join(" or ")} ${test.explanation ?? ""}`);
      console.log(`  got ${got.result} ${got.explanation ?? ""} (${got.reason ?? got.mechanism ?? ""})`);
    }
  }
}
console.log(`${passed} of ${all} passed`);
if (passed < all) Deno.exit(1);
