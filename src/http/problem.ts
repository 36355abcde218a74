/** Errors for clients: a JSON object that says what is wrong (RFC 9457). */

/** Reason phrases of the statuses that are sent from here (RFC 9110 §15). */
const TITLES: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Login required",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  413: "Content too large",
  414: "URI too long",
  429: "Too many requests",
  431: "Request header fields too large",
  500: "Internal error",
  503: "Service unavailable",
};

/**
 * A response with a problem object: `{"type": "about:blank", "title", "status", "detail"}`.
 *
 * @param status HTTP status, 400 to 599
 * @param detail one or two sentences for people: what was wrong, what would be right
 */
export function problem(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
  const body = { type: "about:blank", title: TITLES[status] ?? `Status ${status}`, status, detail };
  return new Response(JSON.stringify(body) + "\n", {
    status,
    headers: { "content-type": "application/problem+json; charset=utf-8", ...headers },
  });
}
