/** Asks the name servers of the machine, which may become others while the program runs. */

import type { Clock } from "../clock/mod.ts";
import { nameservers } from "./system_files.ts";
import type { Upstream } from "./upstream.ts";

/** What is asked, and how it is found. */
export interface SystemUpstreamOptions {
  /** The text of resolv.conf as it is now. */
  read(): string;
  /** Makes an upstream of servers by their addresses. */
  open(ips: readonly string[]): Upstream;
  readonly clock: Clock;
}

/** The file is looked at again after so many milliseconds, when somebody asks. */
const LOOK = 10_000;

/** Where a file names no server, the machine itself is asked, as libc does. */
const USUAL = ["127.0.0.1"];

/** Makes the upstream. A file that names no server any more is about to be written, and changes nothing. */
export function createSystemUpstream({ read, open, clock }: SystemUpstreamOptions): Upstream {
  let looked = clock.now();
  const first = nameservers(read());
  let ips = first.length === 0 ? USUAL : first;
  let current = open(ips);
  // Questions that are under way go on.
  let before: Upstream | undefined;

  const look = () => {
    const now = clock.now();
    if (looked <= now && now < looked + LOOK) return;
    looked = now;
    const next = nameservers(read());
    if (next.length === 0 || next.join() === ips.join()) return;
    before?.close();
    before = current;
    ips = next;
    current = open(ips);
  };

  return {
    ask(question) {
      look();
      return current.ask(question);
    },
    close() {
      before?.close();
      current.close();
    },
  };
}
