/** Which messages a request under `/api/queue` is about: its query parameters. */

import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import { LAST_ERRORS, type QueueFilter, SOURCES } from "../queue/mod.ts";
import type { RecipientState } from "../queue/types.ts";

/** What a query holds, or what is wrong with it. */
export type Reading<T> =
  | { readonly kind: "read"; readonly value: T }
  | { readonly kind: "wrong"; readonly detail: string };

const STATES: readonly RecipientState[] = ["queued", "delivering", "held", "delivered", "failed"];

/** Parameters of a filter. */
const NAMES = [
  "id",
  "state",
  "sender",
  "recipient",
  "domain",
  "queue",
  "error",
  "text",
  "source",
  "node",
  "older-than",
  "younger-than",
];

/** Ids that may be looked up. */
export const ID = /^[0-9A-Za-z_-]{1,40}$/;
const MOST_IDS = 1000;

/**
 * Reads a filter.
 *
 * @param others further parameters that the request may have
 */
export function readQueueFilter(query: URLSearchParams, others: readonly string[]): Reading<QueueFilter> {
  for (const name of query.keys()) {
    if (!NAMES.includes(name) && !others.includes(name)) {
      return wrong(`Unknown parameter ${name}; known are ${[...NAMES, ...others].join(", ")}.`);
    }
  }
  const given = (name: string) => query.get(name) ?? undefined;
  const ids = query.getAll("id");
  if (ids.length > MOST_IDS || !ids.every((id) => ID.test(id))) {
    return wrong(`id must be the id of a message; up to ${MOST_IDS} may be given.`);
  }
  const state = STATES.find((known) => known === given("state"));
  const lastError = LAST_ERRORS.find((known) => known === given("error"));
  const source = SOURCES.find((known) => known === given("source"));
  for (
    const [name, found, known] of [
      ["state", state, STATES],
      ["error", lastError, LAST_ERRORS],
      ["source", source, SOURCES],
    ] as const
  ) {
    const value = given(name);
    if (value !== undefined && found === undefined) {
      return wrong(`${name} must be one of ${known.join(", ")}, found ${value}.`);
    }
  }
  const ages: { olderThan?: number; youngerThan?: number } = {};
  for (const [name, key] of [["older-than", "olderThan"], ["younger-than", "youngerThan"]] as const) {
    const value = given(name);
    if (value === undefined) continue;
    const age = parseDuration(value);
    if (age === undefined) return wrong(`${name} must be ${DURATION_SYNTAX}, found ${value}.`);
    ages[key] = age;
  }
  const [sender, recipient, domain] = [given("sender"), given("recipient"), given("domain")];
  const [queue, text, node] = [given("queue"), given("text"), given("node")];
  return {
    kind: "read",
    value: {
      ...(ids.length > 0 && { ids }),
      ...(state !== undefined && { state }),
      ...(sender !== undefined && { sender }),
      ...(recipient !== undefined && { recipient }),
      ...(domain !== undefined && { domain }),
      ...(queue !== undefined && { queue }),
      ...(lastError !== undefined && { lastError }),
      ...(text !== undefined && { text }),
      ...(source !== undefined && { source }),
      ...(node !== undefined && { node }),
      ...ages,
    },
  };
}

export function wrong(detail: string): { readonly kind: "wrong"; readonly detail: string } {
  return { kind: "wrong", detail };
}
