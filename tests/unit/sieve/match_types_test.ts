/** Every test that compares, with every match type there is (RFC 5228 §2.7, RFC 5231, RFC 6134, the regex draft). */

import assert from "node:assert/strict";
import { base } from "../../../src/sieve/base/mod.ts";
import { EXTENSIONS } from "../../../src/sieve/extensions/mod.ts";
import { capabilityNames } from "../../../src/sieve/mod.ts";
import { createVocabulary } from "../../../src/sieve/registry.ts";
import { holds, type RunOptions } from "./script.ts";

const MESSAGE = `From: Ann <ann@example.org>
Date: Sat, 02 Mar 2024 10:00:00 +0000
X-Value: Alpha7
X-Spam: 5
X-Virus: 3

Alpha7
`;

const OPTIONS: RunOptions & { readonly before: string } = {
  before: `require ${JSON.stringify(capabilityNames())}; setflag "Alpha7";`,
  message: MESSAGE,
  envelope: { from: "Alpha7@example.org", to: "bob@example.net" },
  settings: new Map([
    ["sieve_spamtest_status_header", "X-Spam"],
    ["sieve_spamtest_score_max_value", "10"],
    ["sieve_virustest_status_header", "X-Virus"],
    ["sieve_virustest_status_type", "text"],
    ["sieve_virustest_text_value/4", "3"],
  ]),
  host: {
    now: () => Date.UTC(2024, 2, 2),
    environment: (item) => item === "item" ? "Alpha7" : undefined,
    metadata: (mailbox, entry) =>
      entry === `/private/${mailbox === undefined ? "server" : "box"}` ? "Alpha7" : undefined,
    inList: (list, value) => list === `has ${value.trim()}`,
  },
};

/** What stands between the tags and the keys, and the one value that is compared. */
const VALUES: Readonly<Record<string, readonly [string, string]>> = {
  header: ['"x-value"', "Alpha7"],
  address: ['"from"', "ann@example.org"],
  envelope: [':localpart "from"', "Alpha7"],
  string: ['"Alpha7"', "Alpha7"],
  body: ["", "Alpha7\r\n"],
  date: ['"date" "year"', "2024"],
  currentdate: ['"year"', "2024"],
  environment: ['"item"', "Alpha7"],
  metadata: ['"INBOX" "/private/box"', "Alpha7"],
  servermetadata: ['"/private/server"', "Alpha7"],
  hasflag: ["", "Alpha7"],
  notify_method_capability: ['"mailto:a@example.org" "online"', "maybe"],
  spamtest: ["", "5"],
  virustest: ["", "4"],
};

const vocabulary = createVocabulary(base);
for (const extension of EXTENSIONS) vocabulary.add(extension);

Deno.test("all tests that compare are here", () => {
  const comparing = [...new Set(vocabulary.testNames())].filter((name) =>
    vocabulary.test(name)?.tagSets?.includes("Match") === true
  );
  assert.deepEqual(comparing.sort(), Object.keys(VALUES).sort());
});

for (const [name, [middle, value]] of Object.entries(VALUES)) {
  Deno.test(`${name} compares in every way`, async () => {
    const key = JSON.stringify(value).replaceAll("\\r\\n", "\r\n");
    const swapped = value === value.toUpperCase() ? value : value.toUpperCase();
    const literal = value.trim().replace(/[.*?]/g, "\\\\$&");
    // Tags of the test itself stand in front of its arguments.
    const asked = (tags: string, keys: string) => holds(`${name} ${tags} ${middle} ${keys}`, OPTIONS);
    const truth: readonly (readonly [string, string, boolean])[] = [
      ["", key, true],
      // RFC 5235 §3.2: scanners are asked about one value.
      [":is", name.endsWith("test") ? key : `["x", ${key}]`, true],
      [":is", '"x"', false],
      [':comparator "i;octet" :is', JSON.stringify(swapped).replaceAll("\\r\\n", "\r\n"), swapped === value],
      [":is", JSON.stringify(swapped).replaceAll("\\r\\n", "\r\n"), true],
      // RFC 5232 §2: an empty text is no flag.
      [":contains", '""', name !== "hasflag"],
      [":contains", JSON.stringify(value.trim().slice(1)), true],
      [":contains", '"zz"', false],
      [":matches", JSON.stringify(`?${value.trim().slice(1)}*`), true],
      [":matches", '"z*"', false],
      [":regex", `"^${literal}"`, true],
      [":regex", '"z$"', false],
      [':value "ge"', key, true],
      [':value "gt"', key, false],
      [':value "ne"', '"zz"', true],
      [':count "eq" :comparator "i;ascii-numeric"', '"1"', true],
      [':count "gt" :comparator "i;ascii-numeric"', '"1"', false],
      [":list", JSON.stringify(`has ${value.trim()}`), true],
      [":list", '"has nothing"', false],
    ];
    for (const [tags, keys, wanted] of truth) assert.equal(await asked(tags, keys), wanted, `${tags} ${keys}`);
  });
}
