/** A session with one milter, and a message for it. */

import type { MilterConfig } from "../../../../src/config/config.ts";
import { DnsError } from "../../../../src/dns/resolver.ts";
import { constantSetting } from "../../../../src/expression/mod.ts";
import { createFilterChain, type FilteredSession, type FilteredTransaction } from "../../../../src/filter/mod.ts";
import { createMilterFilter } from "../../../../src/filter/milter/filter.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import type { FakeMilter } from "../../../support/fake_milter.ts";
import { ALL, eventLog, SESSION, transaction as filtered } from "../filtered.ts";

export { ALL, ANA, text } from "../filtered.ts";

export function transaction(
  content = "Subject: hi\r\nTo:  ana\r\n\r\nbody\r\n",
  more: Partial<FilteredTransaction> = {},
) {
  return filtered(content, more);
}

/** One session with one filter. */
export function world(
  milter: Pick<FakeMilter, "port">,
  settings: Partial<MilterConfig> = {},
  addresses: readonly string[] = [],
) {
  const clock = new FakeClock();
  const { events, others: traffic, emit } = eventLog("milter.read", "milter.write");
  const troubles: string[] = [];
  const config: MilterConfig = {
    id: "m",
    enable: constantSetting("session.milter.m.enable", true),
    hostname: "127.0.0.1",
    port: milter.port,
    stages: new Set(ALL),
    tls: false,
    allowInvalidCerts: false,
    timeout: { connect: 30_000, command: 30_000, data: 60_000 },
    tempfailOnError: true,
    maxResponseSize: 50_000,
    version: 6,
    flags: { actions: 0xff, protocol: 0x42, fixed: false },
    ...settings,
  };
  const filter = createMilterFilter(config, {
    clock,
    resolver: {
      a: () =>
        Promise.resolve({ records: addresses, exists: true, name: "filter.example", security: "insecure", ttl: 1 }),
      aaaa: () => Promise.reject(new DnsError("no answer", "servfail")),
    },
    version: "godwit 0",
    emit,
  });
  const chain = createFilterChain([filter])!;
  const open = (session: FilteredSession = SESSION) => chain.open(session, (_, problem) => troubles.push(problem));
  return { clock, events, traffic, troubles, filter, open, run: open(), names: () => events.map(({ name }) => name) };
}

export type World = ReturnType<typeof world>;

/** Runs all stages before `data` as a session does, then `data`. */
export async function deliver({ run }: Pick<World, "run">, given: FilteredTransaction = transaction()) {
  const { sender, parameters } = given;
  await run.judge("connect");
  await run.judge("ehlo");
  await run.judge("mail", { sender, parameters, recipients: [] });
  for (const recipient of given.recipients) await run.judge("rcpt", { sender, parameters, recipients: [], recipient });
  return await run.judge("data", given);
}
