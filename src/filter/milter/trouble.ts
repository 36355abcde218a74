/** A milter that does not do its work. */

import type { EventName } from "../../telemetry/event.ts";

/** The events that tell of it. */
export type TroubleEvent = Extract<
  EventName,
  | "milter.disconnected"
  | "milter.frame-invalid"
  | "milter.frame-too-large"
  | "milter.unexpected-response"
  | "milter.io-error"
  | "milter.timeout"
>;

/** Thrown when a milter cannot be reached, is too slow, or does not keep to the protocol. Its connection is closed. */
export class MilterTrouble extends Error {
  override readonly name = "MilterTrouble";
  constructor(readonly event: TroubleEvent, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
