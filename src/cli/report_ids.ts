/** What the commands for reports that come in and for those that go out have in common: they name reports by id. */

import type { Output } from "./output.ts";

/** Shows a report, or says that there is none; the exit status. */
export function showFound<T>(
  detail: T | undefined,
  how: {
    readonly unknown: string;
    readonly print: (detail: T, output: Output) => void;
    readonly json: boolean | undefined;
  },
  output: Output,
): number {
  if (detail === undefined) {
    output.error(how.unknown);
    return 1;
  }
  if (how.json === true) output.print(JSON.stringify(detail));
  else how.print(detail, output);
  return 0;
}

/** Does something with each report; which were there, and the exit status. */
export async function forEachId(
  ids: readonly string[],
  act: (id: string) => Promise<boolean>,
  unknown: (id: string) => string,
  output: Output,
): Promise<{ readonly found: readonly string[]; readonly status: number }> {
  const found: string[] = [];
  let status = 0;
  for (const id of ids) {
    if (await act(id)) {
      found.push(id);
      continue;
    }
    output.error(unknown(id));
    status = 1;
  }
  return { found, status };
}
