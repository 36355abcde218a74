/** A session and a message for filters under test. */

import type { FilteredSession, FilteredTransaction, Stage } from "../../../src/filter/mod.ts";
import { memoryEditable } from "../../../src/filter/modify.ts";
import type { Emit, EventFields } from "../../../src/telemetry/mod.ts";
import { octets } from "../../support/bytes.ts";

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

/** A message from a@example.net to ana@example.org. */
export function transaction(content: string, more: Partial<FilteredTransaction> = {}) {
  return {
    sender: "a@example.net",
    parameters: { size: 100, body: "8bitmime" },
    recipients: [ANA],
    message: {
      id: "queue1",
      content: memoryEditable(octets(content)),
      serverFields: [octets("Received: from x\r\n\tby y\r\n")],
    },
    ...more,
  } satisfies FilteredTransaction;
}

/** The head of the content in latin1. */
export const text = (given: FilteredTransaction | undefined) =>
  new TextDecoder("latin1").decode(given?.message?.content.head);

/** Events that were emitted; those of `apart` stand by themselves. */
export function eventLog(...apart: readonly string[]) {
  const events: { name: string; fields: EventFields }[] = [];
  const others: { name: string; fields: EventFields }[] = [];
  const emit: Emit = (name, fields = {}) => void (apart.includes(name) ? others : events).push({ name, fields });
  return { events, others, emit };
}
