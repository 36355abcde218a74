/** `GET /api/explain`, or `POST` with a message as body: what would become of it, and which rules decide. */

import { problem } from "./problem.ts";

/** Answers a question whose options are given by name; `wrong` says what is wrong with them, one a line. */
export type Explain = (
  options: Readonly<Record<string, readonly string[]>>,
  message: Uint8Array | undefined,
) => Promise<{ readonly explanation: unknown } | { readonly wrong: string }>;

/** Octets of a message; a body is never larger (`413`). */
const LARGEST_MESSAGE = 64 * 1024;

/** Answers a request. */
export async function explainResponse(explain: Explain, query: URLSearchParams, request: Request): Promise<Response> {
  const options: Record<string, string[]> = {};
  for (const [name, value] of query) (options[name] ??= []).push(value);
  let message: Uint8Array | undefined;
  if (request.method === "POST") {
    message = await bodyOf(request);
    if (message === undefined) return problem(413, `A message here has at most ${LARGEST_MESSAGE} octets.`);
  }
  const answer = await explain(options, message);
  return "wrong" in answer ? problem(400, answer.wrong) : Response.json(answer.explanation);
}

async function bodyOf(request: Request): Promise<Uint8Array | undefined> {
  if (request.body === null) return new Uint8Array(0);
  const body = new Uint8Array(LARGEST_MESSAGE);
  let size = 0;
  for await (const chunk of request.body) {
    if (size + chunk.length > LARGEST_MESSAGE) return undefined;
    body.set(chunk, size);
    size += chunk.length;
  }
  return body.subarray(0, size);
}
