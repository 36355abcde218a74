/**
 * What a realistic rule set costs: messages accepted per second with rate limits, a directory lookup and rewriting, beside
 * a server that takes everything. Both get the same load in turns while the next hop never answers; the medians are
 * compared, and the exit status is 1 if the rules leave less than 80 %.
 *
 * ```sh
 * deno run -A tests/bench/rules_bench.ts [--messages 6000] [--connections 20] [--size 4096] [--repetitions 3]
 * ```
 *
 * @module
 */

import { compare, readOptions, report } from "./acceptance.ts";

/** Share of the bare rate that must be left. */
const TARGET = 0.8;

/** As a site would have it: the load's recipient is an account, its sender is rewritten and counted. */
const RULES = `
[directory.staff]
type = "memory"
[[directory.staff.principals]]
name = "sink"
email = ["sink@sink.example", "postmaster@sink.example"]
[lookup.unwanted]
"*.dynamic.example" = true
"localhost" = true
[session.mail]
rewrite = [
  { if = 'matches("^([^@]+)@([a-z]+)\\.client\\.example$", sender)', then = "$1 + '@client.example'" },
  { if = 'matches("^(generator)@(client\\.example)$", sender)', then = "$1 + '+bench@' + $2" },
  { else = false },
]
is-allowed = "!key_exists('unwanted', sender_domain)"
[[queue.limiter.inbound]]
key = ["remote_ip"]
concurrency = 200
rate = "100000/1h"
enable = true
[[queue.limiter.inbound]]
key = ["remote_ip", "sender"]
match = "is_empty(authenticated_as)"
rate = "1000000/1h"
enable = true
[[queue.limiter.inbound]]
key = ["sender_domain", "rcpt"]
rate = "1000000/1h"
enable = true
`;

function withRules(text: string): string {
  return text
    .replace("[session.rcpt]\nrelay = true", (rcpt) => {
      if (rcpt === "") throw new Error("the bench configuration has changed");
      return '[session.rcpt]\nrelay = "!is_empty(authenticated_as)"\n' +
        `rewrite = [{ if = 'matches("^(.+)@old\\.example$", rcpt)', then = "$1 + '@sink.example'" }, { else = false }]`;
    })
    .replace('data = "data"', 'data = "data"\ndirectory = "staff"') + RULES;
}

// The recipient is local with the rules only, which must not make a difference to what happens in the queue.
const asRemote = (text: string) => text.replace("[queue.strategy]\n", `[queue.strategy]\nschedule = "'remote'"\n`);

const all = await compare([
  { name: "bare", configure: asRemote },
  { name: "with rules", configure: (bare) => withRules(asRemote(bare)) },
], readOptions());
Deno.exit(report(all, TARGET) ? 0 : 1);
