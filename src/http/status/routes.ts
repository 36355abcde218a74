/** The status page and its forms, for administrators. */

import { Hono } from "hono";
import type { HttpDependencies } from "../dependencies.ts";
import type { Exchange } from "../exchange.ts";

/** Builds the routes. */
export function statusRoutes(_deps: HttpDependencies): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();
  app.get("/", (c) => c.html("godwit"));
  return app;
}
