/** Gives up root after the ports are bound (RUN_AS_USER, RUN_AS_GROUP). */

import process from "node:process";

/** The account to become. */
export interface RunAs {
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/**
 * Becomes another user and group for good, without any supplementary group of the old one.
 *
 * @throws {Error} if the account does not exist or this process may not change
 */
export function dropPrivileges(runAs: RunAs): void {
  if (runAs.user === undefined && runAs.group === undefined) return;
  if (process.getuid?.() !== 0) {
    throw new Error("RUN_AS_USER and RUN_AS_GROUP need a start as root; unset them or start as root");
  }
  clearSupplementaryGroups();
  try {
    if (runAs.group !== undefined) process.setgid?.(account(runAs.group));
    if (runAs.user !== undefined) process.setuid?.(account(runAs.user));
  } catch (error) {
    throw new Error(
      `cannot run as user '${runAs.user ?? ""}' group '${runAs.group ?? ""}': ${(error as Error).message}`,
    );
  }
}

function account(name: string): string | number {
  return /^\d+$/.test(name) ? Number(name) : name;
}

// The runtime has setuid and setgid but not setgroups(2).
function clearSupplementaryGroups(): void {
  for (const name of ["libc.so.6", "libc.so", "libSystem.dylib"]) {
    try {
      const libc = Deno.dlopen(name, { setgroups: { parameters: ["usize", "pointer"], result: "i32" } });
      const result = libc.symbols.setgroups(0n, null);
      libc.close();
      if (result === 0) return;
    } catch {
      // Not the name of this system's C library.
    }
  }
  throw new Error("cannot give up the groups of root");
}
