/** `GET /api/trace`: dialogues while they are held, one JSON object a line, until the client hangs up. */

import { networkSet, parseNetwork } from "../net/mod.ts";
import type { DialogueTrace, Follower, TraceFilter } from "../telemetry/mod.ts";
import { problem } from "./problem.ts";

const NAMES = ["address", "domain", "peer", "direction"];

/** Milliseconds after which an empty line shows that the connection lives. */
const HEARTBEAT = 15_000;

/** Answers a request with a stream of `application/x-ndjson`. */
export function traceResponse(trace: DialogueTrace, query: URLSearchParams): Response {
  const filter = readTraceFilter(query);
  if (typeof filter === "string") return problem(400, filter);
  const follower = trace.follow(filter);
  if (follower === undefined) {
    return problem(429, "Too many follow dialogues already; try again when one of them has left.", {
      "retry-after": "10",
    });
  }
  return new Response(streamOf(follower), {
    headers: { "content-type": "application/x-ndjson; charset=utf-8", "x-accel-buffering": "no" },
  });
}

function streamOf(follower: Follower): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      // The first bytes tell the client that from now on nothing is missed.
      controller.enqueue(encoder.encode("\n"));
    },
    async pull(controller) {
      const records = await follower.next(HEARTBEAT);
      if (records === undefined) return controller.close();
      const lines = records.map((record) => {
        if (record.kind === "lost") return JSON.stringify({ lost: record.count });
        const { kind: _, time, text, ...rest } = record;
        return JSON.stringify({ time: new Date(time).toISOString(), ...rest, text });
      });
      controller.enqueue(encoder.encode(`${lines.join("\n")}\n`));
    },
    cancel: () => follower.close(),
  });
}

/** Reads the query; a text is what is wrong with it. */
function readTraceFilter(query: URLSearchParams): TraceFilter | string {
  for (const name of query.keys()) {
    if (!NAMES.includes(name)) return `Unknown parameter ${name}; known are ${NAMES.join(", ")}.`;
  }
  const direction = query.get("direction");
  if (direction !== null && direction !== "in" && direction !== "out") {
    return `direction must be in or out, found ${direction}.`;
  }
  const peer = query.get("peer");
  const network = peer === null ? undefined : parseNetwork(peer);
  if (peer !== null && network === undefined) {
    return `peer must be an IP address or a network such as 192.0.2.0/24, found ${peer}.`;
  }
  const address = query.get("address");
  const domain = query.get("domain");
  return {
    ...(direction === null ? {} : { direction }),
    ...(network === undefined ? {} : { peer: networkSet([network]) }),
    ...(address === null ? {} : { address: address === "<>" ? "" : address }),
    ...(domain === null ? {} : { domain }),
  };
}
