/** Routes for everyone: probes, metrics, robots.txt and what others answer under `/.well-known/`. */

import { Hono } from "hono";
import { basicCredentials, isSameSecret } from "./access.ts";
import { hostName } from "./client_address.ts";
import type { HttpDependencies } from "./dependencies.ts";
import type { Exchange } from "./exchange.ts";
import { problem } from "./problem.ts";

const TEXT = "text/plain; charset=utf-8";

/** Longest body of an answer under `/.well-known/`, in characters; RFC 8461 §3.3 lets a policy have 64 KB. */
const LARGEST_ANSWER = 64 * 1024;

/** Builds the routes. */
export function publicRoutes(deps: HttpDependencies): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();

  const live = () => new Response("ok\n", { headers: { "content-type": TEXT } });
  app.get("/healthz", live);
  app.get("/healthz/live", live);

  const ready = async () => {
    const { ready, reasons } = await deps.ready();
    if (ready) return new Response("ready\n", { headers: { "content-type": TEXT } });
    return problem(503, `Not ready for mail: ${reasons.join("; ") || "starting"}.`, { "retry-after": "5" });
  };
  app.get("/readyz", ready);
  app.get("/healthz/ready", ready);

  const metrics = async (authorization: string | null) => {
    const { enable, auth } = deps.config.prometheus;
    if (!enable) return problem(404, "Metrics are off; metrics.prometheus.enable switches them on.");
    if (auth !== undefined) {
      const shown = basicCredentials(authorization);
      // Both are compared whatever the first says, so that the time does not tell which was wrong.
      const isUser = isSameSecret(auth.username, shown?.user ?? "");
      const isPassword = isSameSecret(auth.secret, shown?.password ?? "");
      if (shown === undefined || !isUser || !isPassword) {
        return problem(401, "Show the login of metrics.prometheus.auth.", {
          "www-authenticate": 'Basic realm="godwit metrics", charset="UTF-8"',
        });
      }
    }
    return new Response(await deps.metricsText(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  };
  app.get("/metrics", (c) => metrics(c.env.request.headers.get("authorization")));
  app.get("/metrics/prometheus", (c) => metrics(c.env.request.headers.get("authorization")));

  app.get("/robots.txt", () => new Response("User-agent: *\nDisallow: /\n", { headers: { "content-type": TEXT } }));

  app.get("/.well-known/*", async (c) => {
    const answer = await deps.wellKnown?.(c.env.url.pathname, hostName(c.env.host));
    if (answer === undefined) return problem(404, "There is nothing at this path for this host.");
    return new Response(answer.body.slice(0, LARGEST_ANSWER), { headers: { "content-type": answer.contentType } });
  });

  return app;
}
