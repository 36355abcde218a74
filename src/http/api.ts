/** The management API under `/api`: JSON in and out, for administrators. */

import { Hono } from "hono";
import type { RecipientState } from "../queue/types.ts";
import { banRoutes } from "./ban_routes.ts";
import type { HttpDependencies, MessageDetail, MessageFilter, QueueAdministration } from "./dependencies.ts";
import type { Exchange } from "./exchange.ts";
import { readMail } from "./mail_reader.ts";
import { problem } from "./problem.ts";
import { fingerprint, statusSnapshot } from "./status/snapshot.ts";
import { traceResponse } from "./trace_route.ts";

const STATES: readonly RecipientState[] = ["queued", "delivering", "held", "delivered", "failed"];
const FILTER_NAMES = ["state", "sender", "recipient", "queue", "limit", "after"];
const MOST_MESSAGES = 1000;

const ID = /^[0-9A-Za-z_-]{1,40}$/;

/** One message with its history. What cannot be an id is not asked for. */
export async function find(queue: QueueAdministration, id: string): Promise<MessageDetail | undefined> {
  return ID.test(id) ? await queue.show(id) : undefined;
}

type Reading<T> = { readonly kind: "read"; readonly value: T } | { readonly kind: "wrong"; readonly detail: string };

/** Reads the query of `GET /api/queue/messages`. */
function readFilter(query: URLSearchParams): Reading<MessageFilter> {
  for (const name of query.keys()) {
    if (!FILTER_NAMES.includes(name)) {
      return { kind: "wrong", detail: `Unknown parameter ${name}; known are ${FILTER_NAMES.join(", ")}.` };
    }
  }
  const limit = query.get("limit") ?? "100";
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_MESSAGES) {
    return { kind: "wrong", detail: `limit must be a number from 1 to ${MOST_MESSAGES}, found ${limit}.` };
  }
  const state = query.get("state");
  const known = STATES.find((other) => other === state);
  if (state !== null && known === undefined) {
    return { kind: "wrong", detail: `state must be one of ${STATES.join(", ")}, found ${state}.` };
  }
  const after = query.get("after");
  if (after !== null && !ID.test(after)) return { kind: "wrong", detail: "after must be the id of a message." };
  const sender = query.get("sender");
  const recipient = query.get("recipient");
  const queue = query.get("queue");
  return {
    kind: "read",
    value: {
      limit: Number(limit),
      ...(known !== undefined && { state: known }),
      ...(sender !== null && { sender }),
      ...(recipient !== null && { recipient }),
      ...(queue !== null && { queue }),
      ...(after !== null && { after }),
    },
  };
}

/** What can be done with a message by name. */
export type MessageAction = "retry" | "hold" | "release" | "cancel";

/** Carries out an action. @returns false if there is no such message */
export async function act(queue: QueueAdministration, action: MessageAction, id: string): Promise<boolean> {
  return ID.test(id) && await queue[action](id);
}

/** Builds the routes, to be mounted at `/api`. */
export function apiRoutes(deps: HttpDependencies): Hono<{ Bindings: Exchange }> {
  const { queue, mailboxes, bans, trace } = deps;
  const app = new Hono<{ Bindings: Exchange }>();

  app.get("/status", async (c) => {
    const snapshot = await statusSnapshot(deps);
    const body = JSON.stringify({ ...snapshot, time: new Date(deps.clock.now()).toISOString() });
    const tag = `"${await fingerprint(snapshot)}"`;
    if (c.req.header("if-none-match") === tag) return new Response(null, { status: 304, headers: { etag: tag } });
    return new Response(body, { headers: { "content-type": "application/json", etag: tag } });
  });

  app.get("/queue/stats", async (c) => c.json(await queue.stats()));

  app.get("/queue/messages", async (c) => {
    const filter = readFilter(c.env.url.searchParams);
    if (filter.kind === "wrong") return problem(400, filter.detail);
    const messages = await queue.list(filter.value);
    const next = messages.length < filter.value.limit ? null : messages.at(-1)?.id ?? null;
    return c.json({ messages, next });
  });

  app.get("/queue/messages/:id", async (c) => {
    const id = c.req.param("id");
    const detail = await find(queue, id);
    return detail === undefined ? noMessage(id) : c.json({ ...detail.message, events: detail.events });
  });

  for (const action of ["retry", "hold", "release"] as const) {
    app.post(`/queue/messages/:id/${action}`, async (c) => {
      const id = c.req.param("id");
      return await act(queue, action, id) ? c.json({ id, action }) : noMessage(id);
    });
  }
  app.delete("/queue/messages/:id", async (c) => {
    const id = c.req.param("id");
    return await act(queue, "cancel", id) ? c.json({ id, action: "cancel" }) : noMessage(id);
  });

  if (bans !== undefined) app.route("/bans", banRoutes(bans));

  if (trace !== undefined) app.get("/trace", (c) => traceResponse(trace, c.env.url.searchParams));

  if (mailboxes !== undefined) {
    app.get("/mail", async (c) => c.json({ mailboxes: await mailboxes.list(), messages: await mailboxes.latest(100) }));
    app.get("/mail/:mailbox/:message", async (c) => {
      const bytes = await mailboxes.read(c.req.param("mailbox"), c.req.param("message"));
      return bytes === undefined ? problem(404, "There is no such message in this mailbox.") : c.json(readMail(bytes));
    });
  }

  return app;
}

function noMessage(id: string): Response {
  return problem(404, `There is no message ${id.slice(0, 40)} in the queue.`);
}
