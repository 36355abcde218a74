/** SPF asked of a zone, with what most tests have in common. */

import { checkSpf, type SpfResult } from "../../../../src/authentication/mod.ts";
import { createZone, type Zone, type ZoneEntry } from "../../../support/zone.ts";

/** Names and their entries; a text stands for an entry with one TXT record. */
export type Records = Readonly<Record<string, string | ZoneEntry>>;

/** Builds a zone. */
export function zoneOf(records: Records): Zone {
  return createZone(
    Object.fromEntries(
      Object.entries(records).map(([name, entry]) => [name, typeof entry === "string" ? { txt: [entry] } : entry]),
    ),
  );
}

/** What may differ from one question to the next. */
export interface Question {
  readonly ip?: string;
  readonly helo?: string;
  readonly sender?: string;
  readonly identity?: SpfResult["identity"];
  readonly now?: () => number;
}

/** Asks whether 192.0.2.7 may send as ana@example.net. */
export function ask(records: Records | Zone, question: Question = {}): Promise<SpfResult> {
  const { ip = "192.0.2.7", helo = "mail.example.net", sender = "ana@example.net", identity = "mailfrom" } = question;
  const resolver = "txt" in records && typeof records.txt === "function" ? records as Zone : zoneOf(records as Records);
  return checkSpf({ ip, helo, sender, identity, receiver: "mx.example.org" }, {
    resolver,
    now: question.now ?? (() => 1_700_000_000_000),
    random: () => 0,
  });
}

/** The result word for one record of example.net; other names are given beside it. */
export async function verdict(record: string, others: Records = {}, question: Question = {}): Promise<string> {
  return (await ask({ "example.net": record, ...others }, question)).result;
}
