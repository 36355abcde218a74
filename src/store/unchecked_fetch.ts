/** `fetch` that does not check the server's certificate, for `store.<id>.tls.allow-invalid-certs`. */

import { request as httpsRequest } from "node:https";

/**
 * Sends `request` over TLS whatever certificate the server shows; plain http goes the usual way.
 *
 * @param timeout milliseconds for the whole exchange
 */
export async function uncheckedFetch(request: Request, timeout: number): Promise<Response> {
  const url = new URL(request.url);
  if (url.protocol !== "https:") return await fetch(request, { signal: AbortSignal.timeout(timeout) });
  const body = new Uint8Array(await request.arrayBuffer());
  return await new Promise((resolve, reject) => {
    const outgoing = httpsRequest(url, {
      method: request.method,
      headers: { ...Object.fromEntries(request.headers), "content-length": String(body.length) },
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(timeout),
    }, (incoming) => {
      const parts: Uint8Array[] = [];
      incoming.on("data", (part: Uint8Array) => parts.push(part));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(incoming.headers)) {
          if (value !== undefined) headers.set(name, String(value));
        }
        resolve(
          new Response(new Blob(parts.map((part) => part.slice())), { status: incoming.statusCode ?? 502, headers }),
        );
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
