/**
 * What a data script of twenty rules costs: messages accepted per second with it, beside a server without any script. Both
 * get the same load in turns while the next hop never answers; the medians are compared.
 *
 * ```sh
 * deno run -A tests/bench/script_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { compare, readOptions, report } from "./acceptance.ts";

/** Rules that look at envelope, header and lists, and match nothing but the last one, which adds a field. */
const RULES = [
  ...Array.from({ length: 8 }, (_, i) => `if header :contains "Subject" "offer ${i}" { discard; stop; }`),
  ...Array.from({ length: 4 }, (_, i) => `if envelope :domain "from" "spam${i}.example" { reject "no"; stop; }`),
  ...Array.from({ length: 3 }, (_, i) => `if address :matches "From" "*bulk${i}*@*" { fileinto "Bulk"; stop; }`),
  'if header :regex "Subject" "^\\\\[[a-z]+\\\\] .*urgent" { addheader "X-Urgent" "yes"; }',
  'if envelope :domain :list "from" "unwanted" { reject "no"; stop; }',
  'if size :over 10M { addheader "X-Large" "yes"; }',
  'if not exists "Message-ID" { addheader "X-No-Id" "yes"; }',
  'addheader "X-Checked" "${env.remote_ip} ${envelope.to}";',
];

const SCRIPT = `
[session.data]
script = "'rules'"
[sieve.trusted.scripts.rules]
contents = '''
${RULES.join("\n")}
'''
[lookup.unwanted]
"*.junk.example" = true
`;

const all = await compare([
  { name: "no script", configure: (bare) => bare },
  { name: "20 rules", configure: (bare) => bare + SCRIPT },
], readOptions());
report(all);
