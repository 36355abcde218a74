import type { Failure } from "./wire.ts";

/** Why a database could not be opened; thrown by an executor's `open`. */
export class OpenError extends Error {
  override readonly name = "OpenError";
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}
