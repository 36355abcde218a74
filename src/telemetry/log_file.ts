/** Log files: one per period, named by it, under the folder of the tracer. */

import type { BatchTarget } from "./batch.ts";

/** How often a new file is begun. */
export type Rotation = "minutely" | "hourly" | "daily" | "never";

const PERIODS: Readonly<Record<Rotation, number>> = {
  minutely: 60_000,
  hourly: 3_600_000,
  daily: 86_400_000,
  never: Number.POSITIVE_INFINITY,
};

// Characters of the RFC 3339 time that tell one period from the next.
const NAME_LENGTHS: Readonly<Record<Rotation, number>> = { minutely: 16, hourly: 13, daily: 10, never: 0 };

const LINE_END = new Uint8Array([0x0a]);

/**
 * Name of the file for a time: `godwit.2026-01-05.log`, with the hour or minute added as rotation asks
 * (`godwit.2026-01-05-12-30.log`), or `godwit.log`. In UTC, as the lines are.
 */
export function logFileName(prefix: string, rotation: Rotation, time: number): string {
  const length = NAME_LENGTHS[rotation];
  if (length === 0) return `${prefix}.log`;
  return `${prefix}.${new Date(time).toISOString().slice(0, length).replace(/[T:]/g, "-")}.log`;
}

/**
 * Appends batches to the file of their period. The folder is made if it is missing; files are readable by owner and
 * group only, for they hold addresses.
 */
export function logFileTarget(folder: string, prefix: string, rotation: Rotation): BatchTarget {
  const span = PERIODS[rotation];
  let open: { readonly period: number; readonly file: Deno.FsFile } | undefined;
  // A write that failed half-way left a line without its end; the batch comes again as a whole.
  let torn = false;

  function close(): void {
    open?.file.close();
    open = undefined;
  }

  return {
    periodOf: (time) => rotation === "never" ? 0 : Math.floor(time / span),
    async write(bytes, period) {
      if (open === undefined || open.period !== period) {
        close();
        await Deno.mkdir(folder, { recursive: true, mode: 0o750 });
        const name = logFileName(prefix, rotation, rotation === "never" ? 0 : period * span);
        const file = await Deno.open(`${folder}/${name}`, { append: true, create: true, mode: 0o640 });
        open = { period, file };
      }
      try {
        if (torn) await writeAll(open.file, LINE_END);
        torn = false;
        await writeAll(open.file, bytes);
      } catch (error) {
        // The next try opens anew: the file may have been on a volume that went away.
        torn = true;
        close();
        throw error;
      }
    },
    close,
  };
}

/** Takes bytes; may take only some of them at once. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

/** A target for standard output and standard error. */
export function streamTarget(writer: ByteWriter): BatchTarget {
  return { periodOf: () => 0, write: (bytes) => writeAll(writer, bytes), close: () => {} };
}

async function writeAll(writer: ByteWriter, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await writer.write(bytes.subarray(done));
}
