/** Asks the management API of a running server. */

import type { Config } from "../config/mod.ts";

/** Where and as whom. */
export interface ApiOptions {
  /** Base URL; without it the first `http` listener of the configuration. */
  readonly url?: string;
  /** Bearer token; without it `GODWIT_TOKEN`, or `http.auth.token` of the configuration. */
  readonly token?: string;
}

/** The API could not be asked, or refused; the message is for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
}

/**
 * Sends a GET request.
 *
 * @param path such as `/api/trace`
 * @throws {ApiError} if nobody answers, or with an error
 */
export async function askApi(
  config: Config | undefined,
  options: ApiOptions,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<Response> {
  const url = new URL(path, baseUrl(config, options.url));
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  const token = options.token ?? Deno.env.get("GODWIT_TOKEN") ?? config?.http.authToken;
  const headers: HeadersInit = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(url, { headers, redirect: "error", ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (signal?.aborted) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ApiError(`no server answers at ${url.origin} (${why}); is it running? --url names another place`);
  }
  if (response.ok) return response;
  throw new ApiError(`${url.origin} says: ${await detailOf(response)}`);
}

function baseUrl(config: Config | undefined, url: string | undefined): string {
  if (url !== undefined) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new ApiError(`--url ${url}: expected a URL such as http://127.0.0.1:8025`);
    }
    return url;
  }
  const listener = config?.server.listeners.find(({ protocol, bind }) => protocol === "http" && bind.length > 0);
  const bind = listener?.bind[0];
  if (listener === undefined || bind === undefined) {
    throw new ApiError("the configuration has no listener with protocol http, and it is what answers; see --url");
  }
  const ip = bind.ip === "0.0.0.0" ? "127.0.0.1" : bind.ip === "::" ? "::1" : bind.ip;
  return `${listener.tls.enable && listener.tls.implicit ? "https" : "http"}://${
    ip.includes(":") ? `[${ip}]` : ip
  }:${bind.port}`;
}

async function detailOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "detail" in body) return `${response.status} ${body.detail}`;
  } catch {
    // No problem object: another program, or a proxy.
  }
  return `${response.status} ${response.statusText}`;
}
