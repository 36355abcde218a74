/** Content on its way into the queue: size limit, line endings, back-pressure, first failure. */

import { type ContentWriter, type SpooledContent, StoreUnavailable } from "../queue/mod.ts";
import { type BareNewlineScanner, type NewlineNormalizer, type Reply, reply } from "../smtp/mod.ts";

/** The answer to what belongs into a transaction, outside of one. */
export const SEND_MAIL = reply(503, "5.5.1", "Send MAIL first");

/** The answer to content for nobody. */
export const SEND_RCPT = reply(503, "5.5.1", "Send RCPT first, no recipient was accepted");

/** The answer where `session.data.bare-newline` refuses content. */
export const BARE_NEWLINE = reply(554, "5.6.0", "The message holds a bare CR or LF, lines must end with CRLF");

/** Reply for a store that could not take the message. */
export function storeFailure(error: StoreUnavailable): Reply {
  return error.full
    ? reply(452, "4.3.1", "Insufficient system storage, try again later")
    : reply(451, "4.3.0", "Queue is unavailable, try again later");
}

/** How {@link ContentIntake} treats content. */
export interface IntakeOptions {
  readonly sizeLimit: number;
  /** Turns bare CR and LF into CRLF. */
  readonly normalizer: NewlineNormalizer | undefined;
  /** Notes bare CR and LF; for BDAT, where no decoder does. */
  readonly scanner: BareNewlineScanner | undefined;
}

/** Feeds a {@link ContentWriter}. After a failure it goes on counting and drops what comes. */
export class ContentIntake {
  /** Octets received. */
  size = 0;
  failure: Reply | undefined;
  #waiting: Promise<void> | undefined;

  constructor(readonly writer: ContentWriter, readonly options: IntakeOptions) {}

  /** Whether bare CR and LF are mended instead of refused. */
  get normalizes(): boolean {
    return this.options.normalizer !== undefined;
  }

  /** Takes the next octets. */
  write(slice: Uint8Array): void {
    this.size += slice.length;
    if (this.failure !== undefined) return;
    if (this.size > this.options.sizeLimit) {
      this.failure = reply(552, "5.3.4", `Message is too big, the limit is ${this.options.sizeLimit} octets`);
      this.writer.abort();
      return;
    }
    this.options.scanner?.push(slice);
    if (this.options.normalizer === undefined) this.#store(slice);
    else this.options.normalizer.push(slice, (mended) => this.#store(mended));
  }

  #store(bytes: Uint8Array): void {
    const waiting = this.writer.write(bytes);
    if (waiting === undefined) return;
    // Slices of one read are few and small; the caller waits before the next read.
    const before = this.#waiting;
    this.#waiting = (before === undefined ? waiting : Promise.all([before, waiting]).then(() => {})).catch(
      (error: unknown) => this.#fail(error),
    );
  }

  #fail(error: unknown): void {
    if (!(error instanceof StoreUnavailable)) throw error;
    if (this.failure !== undefined) return;
    this.failure = storeFailure(error);
    this.writer.abort();
  }

  /** Resolves when the store has caught up; nothing if it has. Never rejects for reasons that lie in the store. */
  backpressure(): Promise<void> | undefined {
    const waiting = this.#waiting;
    if (waiting === undefined) return undefined;
    return waiting.then(() => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    });
  }

  /** All content has arrived. A failure means that nothing is kept. */
  async finish(): Promise<SpooledContent | Reply> {
    await this.backpressure();
    if (this.failure === undefined && this.options.normalizer !== undefined) {
      this.options.normalizer.finish((mended) => this.#store(mended));
      await this.backpressure();
    }
    if (this.failure !== undefined) return this.failure;
    try {
      return await this.writer.finish();
    } catch (error) {
      this.#fail(error);
      return this.failure ?? reply(451, "4.3.0", "Queue is unavailable, try again later");
    }
  }

  /** Drops everything. */
  abort(): void {
    this.writer.abort();
  }
}
