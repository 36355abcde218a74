/** The queue under `/api/queue`: lists, single messages, and what is done to one message or to many. */

import { type Context, Hono } from "hono";
import { DURATION_SYNTAX, parseDuration } from "../expression/mod.ts";
import type { QueueAction } from "../queue/mod.ts";
import type { MessageDetail, MessageFilter, QueueAdministration } from "./dependencies.ts";
import type { Exchange } from "./exchange.ts";
import { problem } from "./problem.ts";
import { ID, type Reading, readQueueFilter, wrong } from "./queue_filter.ts";

const MOST_MESSAGES = 1000;
const ACTIONS: readonly QueueAction[] = ["retry", "reschedule", "hold", "release", "cancel"];
const TIME_NAMES = ["at", "in"];

type QueueContext = Context<{ Bindings: Exchange }>;

/** One message with its history. What cannot be an id is not asked for. */
export async function find(queue: QueueAdministration, id: string): Promise<MessageDetail | undefined> {
  return ID.test(id) ? await queue.show(id) : undefined;
}

/**
 * Carries out an action on one message.
 *
 * @param by who asks, for history
 * @param time when, for `reschedule`
 * @returns false if there is no such message
 */
export async function act(
  queue: QueueAdministration,
  action: QueueAction,
  id: string,
  by: string,
  time = 0,
): Promise<boolean> {
  if (!ID.test(id)) return false;
  const known = (await queue.list({ ids: [id], limit: 1 })).length > 0;
  return known && (await queue.change(action, { ids: [id] }, by, time), true);
}

/** Who stands in history for what a request does. */
export function whoAsks({ administrator = "somebody", clientIp }: Exchange): string {
  return `${administrator} by HTTP from ${clientIp}`;
}

/** Reads the query of `GET /api/queue/messages`. */
function readPage(query: URLSearchParams): Reading<MessageFilter> {
  const filter = readQueueFilter(query, ["limit", "after"]);
  if (filter.kind === "wrong") return filter;
  const limit = query.get("limit") ?? "100";
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_MESSAGES) {
    return wrong(`limit must be a number from 1 to ${MOST_MESSAGES}, found ${limit}.`);
  }
  const after = query.get("after");
  if (after !== null && !ID.test(after)) return wrong("after must be the id of a message.");
  return { kind: "read", value: { limit: Number(limit), ...filter.value, ...(after !== null && { after }) } };
}

/** Reads `at` or `in` of a request to reschedule: milliseconds since the epoch. */
function readTime(query: URLSearchParams, now: number): Reading<number> {
  const at = query.get("at");
  const delay = query.get("in");
  if ((at === null) === (delay === null)) return wrong("at or in must say when, such as in=2h.");
  if (delay !== null) {
    const milliseconds = parseDuration(delay);
    return milliseconds === undefined
      ? wrong(`in must be ${DURATION_SYNTAX}, found ${delay}.`)
      : { kind: "read", value: now + milliseconds };
  }
  const time = ISO_TIME.test(at ?? "") ? Date.parse(at ?? "") : NaN;
  return Number.isNaN(time)
    ? wrong(`at must be a time with its zone, such as 2026-01-31T18:00:00Z, found ${at}.`)
    : { kind: "read", value: time };
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;

/** Builds the routes, to be mounted at `/api/queue`. @param now milliseconds since the epoch */
export function queueRoutes(queue: QueueAdministration, now: () => number): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();
  const query = (c: QueueContext) => c.env.url.searchParams;

  app.get("/stats", async (c) => c.json(await queue.stats()));

  app.get("/messages", async (c) => {
    const filter = readPage(query(c));
    if (filter.kind === "wrong") return problem(400, filter.detail);
    const messages = await queue.list(filter.value);
    const next = messages.length < filter.value.limit ? null : messages.at(-1)?.id ?? null;
    return c.json({ messages, next });
  });

  app.get("/messages/:id", async (c) => {
    const id = c.req.param("id");
    const detail = await find(queue, id);
    return detail === undefined ? noMessage(id) : c.json({ ...detail.message, events: detail.events });
  });

  app.get("/messages/:id/envelope", async (c) => {
    const id = c.req.param("id");
    const found = ID.test(id) ? await queue.export(id) : undefined;
    return found === undefined ? noMessage(id) : c.json(found.message);
  });

  app.get("/messages/:id/content", async (c) => {
    const id = c.req.param("id");
    const found = ID.test(id) ? await queue.export(id) : undefined;
    if (found === undefined) return noMessage(id);
    // Read from the store as fast as the client takes it.
    return new Response(ReadableStream.from(found.content.chunks()), {
      headers: {
        "content-type": "message/rfc822",
        "content-length": String(found.content.size),
        "content-disposition": `attachment; filename="${found.message.id}.eml"`,
      },
    });
  });

  for (const action of ACTIONS) {
    const reschedules = action === "reschedule";

    const one = async (c: QueueContext) => {
      const id = c.req.param("id") ?? "";
      const time = reschedules ? readTime(query(c), now()) : AT_ONCE;
      if (time.kind === "wrong") return problem(400, time.detail);
      return await act(queue, action, id, whoAsks(c.env), time.value) ? c.json({ id, action }) : noMessage(id);
    };
    if (action === "cancel") app.delete("/messages/:id", one);
    else app.post(`/messages/:id/${action}`, one);

    app.post(`/${action}`, async (c) => {
      const filter = readQueueFilter(query(c), ["all", "dry-run", ...(reschedules ? TIME_NAMES : [])]);
      if (filter.kind === "wrong") return problem(400, filter.detail);
      const time = reschedules ? readTime(query(c), now()) : AT_ONCE;
      if (time.kind === "wrong") return problem(400, time.detail);
      for (const name of ["all", "dry-run"]) {
        const value = query(c).get(name);
        if (value !== null && value !== "true") {
          return problem(400, `${name} must be true or left out, found ${value}.`);
        }
      }
      if (Object.keys(filter.value).length === 0 && !query(c).has("all")) {
        return problem(400, "Say by parameters which messages, or all=true.");
      }
      if (query(c).has("dry-run")) {
        return c.json({ action, dryRun: true, ...await queue.preview(action, filter.value) });
      }
      const changed = await queue.change(action, filter.value, whoAsks(c.env), time.value);
      const { recipients, inHand } = typeof changed === "number" ? { recipients: changed, inHand: 0 } : changed;
      return c.json({ action, recipients, ...(inHand === 0 ? {} : { inHand }) });
    });
  }
  return app;
}

const AT_ONCE: Reading<number> = { kind: "read", value: 0 };

function noMessage(id: string): Response {
  return problem(404, `There is no message ${id.slice(0, 40)} in the queue.`);
}
