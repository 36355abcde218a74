/** The frame around every page. */

import { html, type Markup } from "./markup.ts";

/** What a page says about itself. */
export interface PageOptions {
  readonly title: string;
  readonly hostname: string;
  readonly version: string;
  /** Which entry of the navigation this is. */
  readonly at: "overview" | "reports" | "mail" | "message";
  /** Whether reports of others may be looked at. */
  readonly hasReports: boolean;
  /** Whether there is mail to look at. */
  readonly hasMail: boolean;
  /** Fingerprint of what is shown; the script watches it. Only on pages that refresh. */
  readonly tag?: string;
}

/** Answers with a page. */
export type ShowPage = (options: Pick<PageOptions, "title" | "at" | "tag">, body: Markup) => Promise<Response>;

/** A whole document. */
export function page(options: PageOptions, body: Markup): Markup {
  const here = (at: PageOptions["at"]) =>
    at === options.at
      ? html`
        aria-current="page"
      `
      : "";
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex">
        <title>${options.title} – godwit</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="/assets/style.css">
        <script src="/assets/script.js" defer></script>
      </head>
      <body${options.tag === undefined ? "" : html`
        data-tag="${options.tag}"
      `}>
        <a class="skip" href="#main">Skip to content</a>
        <header class="top">
          <div class="wide">
            <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">godwit</a>
            <span class="host">${options.hostname}</span>
            <nav aria-label="Pages"><a href="/"${here("overview")}>Overview</a>${options.hasReports
              ? html`
                <a href="/reports" ${here("reports")}>Reports</a>
              `
              : ""}${options.hasMail
              ? html`
                <a href="/mail" ${here("mail")}>Mail</a>
              `
              : ""}</nav>
          </div>
        </header>
        <main id="main" class="wide" tabindex="-1">
    ${body}
        </main>
        <footer class="wide">
          <p id="refresh" role="status"></p>
          <p>godwit ${options.version}</p>
        </footer>
        </body>
        </html>
  `;
}
