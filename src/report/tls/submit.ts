/** Brings reports to their place by HTTPS (RFC 8460 §5.4). */

import { request } from "node:https";
import type { Clock } from "../../clock/mod.ts";
import { nodeLookup, type Resolver } from "../../dns/mod.ts";
import { nodeTlsOptions } from "../../net/mod.ts";
import type { AggregatePost } from "../aggregate/made.ts";

/** What submitting needs. */
export interface SubmitOptions {
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
  readonly clock: Clock;
  /** Further roots in PEM. */
  readonly ca?: readonly string[];
}

/** Milliseconds that a whole submission may take. */
const TIMEOUT = 60_000;

/**
 * Makes the function that posts a report. It rejects unless the other side answers with a status of success in time. The
 * certificate has to verify (RFC 8460 §3 leaves that open), no redirect is followed, and the answer is not read.
 */
export function createSubmission(options: SubmitOptions): (post: AggregatePost, signal: AbortSignal) => Promise<void> {
  const { resolver, clock, ca } = options;
  return ({ url, type, body }, signal) =>
    new Promise((resolve, reject) => {
      const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
      const outgoing = request({
        ...nodeTlsOptions({ serverName: hostname, verify: "pki", ca }, clock),
        agent: false,
        method: "POST",
        host: hostname,
        port: url.port === "" ? 443 : Number(url.port),
        path: `${url.pathname}${url.search}`,
        lookup: nodeLookup(resolver),
        headers: { "content-type": type, "content-length": body.length, "user-agent": "godwit" },
      });
      const end = (error?: Error) => {
        timer.cancel();
        signal.removeEventListener("abort", stop);
        outgoing.destroy();
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = clock.after(TIMEOUT, () => end(new Error(`no answer within ${TIMEOUT / 1000} s`)));
      const stop = () => end(new Error("not waited for: the program stops"));
      signal.addEventListener("abort", stop);
      // What comes after the end is nobody's concern, but must not be unheard.
      outgoing.on("error", end);
      outgoing.once("response", ({ statusCode = 0 }) => {
        end(statusCode >= 200 && statusCode < 300 ? undefined : new Error(`it answers with the status ${statusCode}`));
      });
      outgoing.end(body);
    });
}
