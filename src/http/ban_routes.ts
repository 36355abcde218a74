/** The ban list in the management API: list, add, remove. */

import { Hono } from "hono";
import { parseDuration } from "../expression/mod.ts";
import { banTarget } from "../throttle/mod.ts";
import type { BanAdministration } from "./dependencies.ts";
import type { Exchange } from "./exchange.ts";
import { problem } from "./problem.ts";

const MOST_BANS = 1000;
const EXPECTED = "an IP address or a network such as 192.0.2.0/24";

/** Builds the routes, to be mounted at `/api/bans`. */
export function banRoutes(bans: BanAdministration): Hono<{ Bindings: Exchange }> {
  const app = new Hono<{ Bindings: Exchange }>();

  app.get("/", async (c) => c.json({ bans: await bans.list(MOST_BANS) }));

  app.post("/", async (c) => {
    const { searchParams } = c.env.url;
    const ip = banTarget(searchParams.get("ip") ?? "");
    if (ip === undefined) return problem(400, `ip must be ${EXPECTED}.`);
    const expire = searchParams.get("expire");
    const life = expire === null ? undefined : parseDuration(expire);
    if (expire !== null && (life === undefined || life <= 0)) {
      return problem(400, "expire must be a duration such as 12h; without it the ban stays until it is removed.");
    }
    return c.json(await bans.set(ip, life), 201);
  });

  app.delete("/:ip{.+}", async (c) => {
    const ip = banTarget(c.req.param("ip"));
    if (ip === undefined) return problem(400, `The end of the path must be ${EXPECTED}.`);
    return await bans.remove(ip) ? c.json({ ip, action: "remove" }) : problem(404, `${ip} is not banned.`);
  });

  return app;
}
