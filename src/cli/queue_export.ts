/** `godwit queue export`: messages with their envelopes, to files or to standard output. */

import { join } from "node:path";
import type { ExportedMessage } from "../queue/mod.ts";
import { DotEncoder, formatMailCommand, formatRcptCommand, NO_EXTENSIONS, type PeerExtensions } from "../smtp/mod.ts";
import { type Output, printable } from "./output.ts";
import { FILTER_OPTIONS, type FilterOptions, toFilter } from "./queue_filter.ts";
import { type CommonOptions, unknown, withQueue } from "./queue_store.ts";

/** Options of the command. */
export interface ExportOptions extends CommonOptions, FilterOptions {
  readonly all?: boolean;
  /** Folder for two files a message: ID.eml and ID.json. */
  readonly dir?: string;
  /** Standard output as batch SMTP. */
  readonly batch?: boolean;
}

const PAGE = 100;

/** Writes messages; the exit status. */
export async function exportSome(ids: readonly string[], options: ExportOptions, output: Output): Promise<number> {
  const filter = toFilter(options);
  if (typeof filter === "string") {
    output.error(printable(filter));
    return 2;
  }
  if (ids.length === 0 && Object.keys(filter).length === 0 && options.all !== true) {
    output.error(`name messages by id, choose them by ${FILTER_OPTIONS}, or say --all`);
    return 2;
  }
  const alone = options.dir === undefined && options.batch !== true;
  if (alone && ids.length !== 1) {
    output.error("several messages need --dir FOLDER, or --batch for one stream of batch SMTP with the envelopes");
    return 2;
  }
  const { write } = output;
  if (options.dir !== undefined) await Deno.mkdir(options.dir, { recursive: true });
  const batch = options.dir === undefined && options.batch === true;
  return await withQueue(options, output, async (queue, config) => {
    for (const id of ids) if ((await queue.list({ ids: [id] })).length === 0) return unknown(id, output);
    const which = ids.length === 0 ? filter : { ...filter, ids };
    if (batch) await write(commandLines(`HELO ${config.server.hostname}`));
    let count = 0;
    let after: string | undefined;
    while (true) {
      const page = await queue.list({ ...which, limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { id } of page) {
        const exported = await queue.export(id);
        // It may have been delivered meanwhile.
        if (exported === undefined) continue;
        if (options.dir !== undefined) await toFiles(exported, options.dir);
        else if (batch) await toBatch(exported, write);
        else for await (const chunk of exported.content.chunks()) await write(chunk);
        count++;
      }
      after = page.at(-1)?.id;
      if (page.length < PAGE) break;
    }
    if (batch) await write(commandLines("QUIT"));
    if (options.dir === undefined) return 0;
    output.print(
      options.json === true
        ? JSON.stringify({ messages: count, folder: options.dir })
        : `${count} message${count === 1 ? "" : "s"} written to ${printable(options.dir)}`,
    );
    return 0;
  });
}

async function toFiles({ message, content }: ExportedMessage, folder: string): Promise<void> {
  const file = await Deno.open(join(folder, `${message.id}.eml`), {
    write: true,
    create: true,
    truncate: true,
    mode: 0o600,
  });
  try {
    for await (const chunk of content.chunks()) {
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    }
  } finally {
    file.close();
  }
  const envelope = `${JSON.stringify(message, undefined, 2)}\n`;
  await Deno.writeTextFile(join(folder, `${message.id}.json`), envelope, { mode: 0o600 });
}

/** Addresses stay as they are, and no command has parameters: programs that read batch SMTP know none. */
const READER: PeerExtensions = { ...NO_EXTENSIONS, smtputf8: true };

function commandLines(...commands: readonly string[]): Uint8Array {
  return new TextEncoder().encode(commands.map((command) => `${command}\r\n`).join(""));
}

/** One transaction of batch SMTP (RFC 2442): the commands and the content, without replies. */
async function toBatch({ message, content }: ExportedMessage, write: Output["write"]): Promise<void> {
  const { sender, recipients, size } = message;
  await write(commandLines(
    formatMailCommand(sender, {}, READER, size),
    ...recipients.map(({ address }) => formatRcptCommand(address, {}, READER)),
    "DATA",
  ));
  const dots = new DotEncoder();
  for await (const chunk of content.chunks()) await write(dots.encode(chunk));
  await write(dots.finish());
}
