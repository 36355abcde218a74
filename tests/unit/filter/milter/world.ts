/** A session with one milter, and a message for it. */

import type { MilterConfig } from "../../../../src/config/config.ts";
import { constantSetting } from "../../../../src/expression/mod.ts";
import {
  createFilterChain,
  createMilterFilter,
  type FilteredSession,
  type FilteredTransaction,
  type Stage,
} from "../../../../src/filter/mod.ts";
import { memoryEditable } from "../../../../src/filter/modify.ts";
import type { EventFields } from "../../../../src/telemetry/mod.ts";
import { octets } from "../../../support/bytes.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import type { FakeMilter } from "../../../support/fake_milter.ts";

export const ALL: readonly Stage[] = ["connect", "ehlo", "mail", "rcpt", "data"];

export const SESSION = {
  id: "s1",
  listener: "smtp",
  protocol: "smtp",
  remote: { ip: "192.0.2.7", port: 4711 },
  local: { ip: "192.0.2.1", port: 25 },
  hostname: "mx.example.org",
  tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", cipherBits: 256 },
  heloDomain: "client.example.net",
  authenticatedAs: "ana",
  authMechanism: "plain",
  authResults: () =>
    Promise.resolve({ iprev: { method: "iprev", result: "pass", ip: "192.0.2.7", name: "host.example.net" } }),
  scope: { variables: {}, functions: {} },
} as unknown as FilteredSession;

export const ANA = { address: "ana@example.org", parameters: {} };

export function transaction(
  content = "Subject: hi\r\nTo:  ana\r\n\r\nbody\r\n",
  more: Partial<FilteredTransaction> = {},
) {
  return {
    sender: "a@example.net",
    parameters: { size: 100, body: "8bitmime" },
    recipients: [ANA],
    message: {
      id: "queue1",
      content: memoryEditable(octets(content)),
      serverFields: [octets("Received: from x\r\n")],
    },
    ...more,
  } satisfies FilteredTransaction;
}

/** One session with one filter. */
export function world(milter: Pick<FakeMilter, "port">, settings: Partial<MilterConfig> = {}) {
  const clock = new FakeClock();
  const events: { name: string; fields: EventFields }[] = [];
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
    resolver: { a: () => Promise.reject(new Error("no DNS")), aaaa: () => Promise.reject(new Error("no DNS")) },
    version: "godwit 0",
    emit: (name, fields = {}) => void events.push({ name, fields }),
  });
  const chain = createFilterChain([filter])!;
  const open = (session: FilteredSession = SESSION) => chain.open(session, (_, problem) => troubles.push(problem));
  return { clock, events, troubles, filter, open, run: open(), names: () => events.map(({ name }) => name) };
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

export const text = (given: FilteredTransaction | undefined) =>
  new TextDecoder("latin1").decode(given?.message?.content.head);
