/** The status page and its forms, for administrators. */

import { type Context, Hono } from "hono";
import type { QueueAction } from "../../queue/mod.ts";
import { act, find, whoAsks } from "../queue_routes.ts";
import type { HttpDependencies } from "../dependencies.ts";
import type { Exchange } from "../exchange.ts";
import { readMail } from "../mail_reader.ts";
import { problem } from "../problem.ts";
import { MAIL_POLICY, PAGE_POLICY } from "../response_headers.ts";
import { ICON, SCRIPT, STYLE } from "./assets.ts";
import { page, type ShowPage } from "./layout.ts";
import { mailList, mailMessage } from "./mail_page.ts";
import { messagePage } from "./message_page.ts";
import { overview } from "./overview.ts";
import { addReportPages } from "./report_pages.ts";
import { fingerprint, statusSnapshot } from "./snapshot.ts";

type StatusContext = Context<{ Bindings: Exchange }>;

/** Messages on the mail page. */
const MOST_MAIL = 200;

const ACTIONS: readonly QueueAction[] = ["retry", "hold", "release", "cancel"];

/** Builds the routes. */
export function statusRoutes(deps: HttpDependencies): Hono<{ Bindings: Exchange }> {
  const { clock, mailboxes, queue, receivedReports } = deps;
  const app = new Hono<{ Bindings: Exchange }>();

  const show: ShowPage = async (options, body) => {
    const document = page(
      {
        hostname: deps.hostname,
        version: deps.version,
        hasMail: mailboxes !== undefined,
        hasReports: receivedReports !== undefined,
        ...options,
      },
      body,
    );
    return new Response((await document).toString(), {
      headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY },
    });
  };

  const asset = (path: string, type: string, text: string) =>
    app.get(
      path,
      () => new Response(text, { headers: { "content-type": type, "cache-control": "private, no-cache" } }),
    );
  asset("/assets/style.css", "text/css; charset=utf-8", STYLE);
  asset("/assets/script.js", "text/javascript; charset=utf-8", SCRIPT);
  asset("/assets/icon.svg", "image/svg+xml", ICON);

  app.get("/", async () => {
    const snapshot = await statusSnapshot(deps);
    const tag = await fingerprint(snapshot);
    return show({ title: deps.hostname, at: "overview", tag }, overview(snapshot, clock.now()));
  });

  app.get("/messages/:id", async (c) => {
    const detail = await find(queue, c.req.param("id"));
    if (detail === undefined) return problem(404, "There is no such message in the queue.");
    return show({ title: `Message ${detail.message.id}`, at: "message" }, messagePage(detail, clock.now()));
  });

  app.post("/messages/:id/:action", async (c) => {
    const id = c.req.param("id");
    const action = ACTIONS.find((other) => other === c.req.param("action"));
    if (action === undefined || !await act(queue, action, id, whoAsks(c.env))) {
      return problem(404, "There is no such message in the queue, or nothing of that name to do.");
    }
    return c.redirect(action === "cancel" ? "/" : `/messages/${id}`, 303);
  });

  if (receivedReports !== undefined) addReportPages(app, receivedReports, show, () => clock.now());

  if (mailboxes !== undefined) {
    app.get("/mail", async () => {
      const [boxes, mail] = await Promise.all([mailboxes.list(), mailboxes.latest(MOST_MAIL)]);
      return show({ title: "Mail", at: "mail" }, mailList(boxes, mail, clock.now()));
    });

    const withMail =
      (answer: (bytes: Uint8Array<ArrayBuffer>, c: StatusContext) => Response | Promise<Response>) =>
      async (
        c: StatusContext,
      ) => {
        const bytes = await mailboxes.read(c.req.param("mailbox") ?? "", c.req.param("message") ?? "");
        return bytes === undefined ? problem(404, "There is no such message in this mailbox.") : answer(bytes, c);
      };
    app.get(
      "/mail/:mailbox/:message",
      withMail((bytes, c) => {
        const mail = readMail(bytes);
        return show({ title: mail.subject || "Message", at: "mail" }, mailMessage(mail, c.env.url.pathname));
      }),
    );
    app.get(
      "/mail/:mailbox/:message/html",
      withMail((bytes) => {
        const { html } = readMail(bytes);
        if (html === null) return problem(404, "The message has no HTML part.");
        return new Response(html, {
          headers: {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": MAIL_POLICY,
            "x-frame-options": "SAMEORIGIN",
          },
        });
      }),
    );
    app.get(
      "/mail/:mailbox/:message/source",
      withMail((bytes) => new Response(bytes, { headers: { "content-type": "text/plain; charset=utf-8" } })),
    );
  }

  return app;
}
