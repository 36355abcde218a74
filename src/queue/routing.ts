/** Splits recipients of a message into groups that one transaction can serve. */

import type { QueueConfig } from "../config/config.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import type { Strategy } from "./strategy.ts";

/** Recipients with the same queue and route, and for `mx` routes the same domain. */
export interface RouteGroup {
  readonly queue: string;
  readonly route: string;
  /** Groups with the same one share its fate. */
  readonly destination: string;
  /** Whether mail by this route goes to many destinations. */
  readonly oneOfMany: boolean;
  readonly recipients: RecipientRecord[];
}

/** Groups, and recipients whose route could not be told. */
export interface Routing {
  readonly groups: readonly RouteGroup[];
  readonly unroutable: readonly { readonly recipient: RecipientRecord; readonly error: unknown }[];
}

/** Asks the strategy for each recipient's route. Answers at once unless an expression reaches outside. */
export function routeRecipients(
  message: MessageRecord,
  recipients: readonly RecipientRecord[],
  strategy: Strategy,
  config: QueueConfig,
  now: number,
): Routing | Promise<Routing> {
  const unroutable: { recipient: RecipientRecord; error: unknown }[] = [];
  const groups = new Map<string, RouteGroup>();

  const place = (recipient: RecipientRecord, route: string) => {
    const oneOfMany = config.route.get(route)?.type === "mx";
    const domain = oneOfMany ? recipient.domain : "";
    const key = `${recipient.queue}\n${route}\n${domain}`;
    const group = groups.get(key);
    if (group !== undefined) {
      group.recipients.push(recipient);
    } else {
      const destination = `${route} ${domain}`;
      groups.set(key, { queue: recipient.queue, route, destination, oneOfMany, recipients: [recipient] });
    }
  };

  let later: Promise<unknown>[] | undefined;
  for (const recipient of recipients) {
    try {
      const route = strategy.route(message, recipient, now);
      if (typeof route === "string") {
        place(recipient, route);
      } else {
        (later ??= []).push(route.then(
          (found) => place(recipient, found),
          (error: unknown) => unroutable.push({ recipient, error }),
        ));
      }
    } catch (error) {
      unroutable.push({ recipient, error });
    }
  }
  if (later === undefined) return { groups: [...groups.values()], unroutable };
  return Promise.all(later).then(() => ({ groups: [...groups.values()], unroutable }));
}
