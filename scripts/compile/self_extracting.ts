/**
 * A single file that carries the runtime, the program and its native addon: a POSIX shell header in front of a
 * compressed archive. The first start unpacks it into a cache folder named by the payload's hash; every start replaces
 * the shell by the program, so process id, arguments, environment, working directory and signals are the program's.
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type ArchiveFile, concatenate, tar } from "./archive.ts";

/** Name of the runtime inside the archive; it is what process lists show. */
export const RUNTIME = "godwit";

const RUNTIME_FLAGS = [
  "run",
  "--quiet",
  "--allow-all",
  "--unstable-net",
  "--no-config",
  "--no-lock",
  "--no-prompt",
  "--cached-only",
  // The addon is found as a package beside the bundle.
  "--node-modules-dir=manual",
];

/** The whole file. `files` must hold {@link RUNTIME} and `main.js`. */
export function selfExtracting(title: string, files: readonly ArchiveFile[]): Uint8Array {
  const payload = gzipSync(tar(files), { level: 9 });
  const hash = createHash("sha256").update(payload).digest("hex");
  const head = (skip: number) =>
    new TextEncoder().encode(shellHeader({ title, hash, skip, paths: files.map((file) => file.path) }));
  // The offset has a fixed width, so writing it does not move the payload.
  const header = head(head(0).length + 1);
  return concatenate([header, payload]);
}

interface HeaderValues {
  readonly title: string;
  readonly hash: string;
  /** Number of the payload's first octet, counted from 1 as `tail -c +N` does. */
  readonly skip: number;
  readonly paths: readonly string[];
}

function shellHeader({ title, hash, skip, paths }: HeaderValues): string {
  return `#!/bin/sh
# ${title}: a self-extracting program. The text ends at the line "exit"; a compressed archive follows.
# GODWIT_CACHE_DIR  folder to unpack into
# GODWIT_RUNNER     program that runs the unpacked runtime, such as an emulator
set -u
umask 022
hash=${hash}
skip=${String(skip).padStart(6, "0")}
case $0 in
  */*) self=$0 ;;
  *) self=$(command -v -- "$0") || self=$0 ;;
esac

complete() {
  for file in ${paths.join(" ")}; do
    [ -f "$1/$file" ] || return 1
  done
}

# A folder that another user owns or may write to could hold another program.
private() {
  [ -d "$1" ] && [ ! -h "$1" ] && [ -O "$1" ] || return 1
  case $(ls -ld "$1") in
    d????w* | d???????w*) return 1 ;;
  esac
}

intact() {
  if command -v sha256sum >/dev/null 2>&1; then
    sum=$(tail -c "+$skip" "$self" | sha256sum) && [ "\${sum%% *}" = "$hash" ]
  else
    tail -c "+$skip" "$self" | gzip -t
  fi
}

unpack() {
  fresh=$1/.$hash.$$
  rm -rf "$fresh"
  mkdir "$fresh" || return 1
  if tail -c "+$skip" "$self" | gzip -dc | tar -xf - -C "$fresh" && complete "$fresh" &&
    \${GODWIT_RUNNER-} "$fresh/${RUNTIME}" --version >/dev/null; then
    [ ! -d "$1/$hash" ] || complete "$1/$hash" || rm -rf "\${1:?}/$hash"
    [ -d "$1/$hash" ] || mv "$fresh" "$1/$hash"
    # Where another first start came first, the move went into its folder, or was not made.
    rm -rf "$1/$hash/.$hash.$$" "$fresh"
    complete "$1/$hash"
  else
    rm -rf "$fresh"
    return 1
  fi
}

start() {
  DENO_DIR=\${DENO_DIR:-$1/.deno} DENO_NO_UPDATE_CHECK=1
  export DENO_DIR DENO_NO_UPDATE_CHECK
  folder=$1
  shift
  exec \${GODWIT_RUNNER-} "$folder/${RUNTIME}" ${RUNTIME_FLAGS.join(" ")} "$folder/main.js" "$@"
}

user=$(id -u)
system=
[ "$user" != 0 ] || system=/var/cache/godwit
tried=
for base in "\${GODWIT_CACHE_DIR-}" "\${CACHE_DIRECTORY-}" "\${XDG_CACHE_HOME:+$XDG_CACHE_HOME/godwit}" "$system" \\
  "\${HOME:+$HOME/.cache/godwit}" "\${TMPDIR:-/tmp}/godwit-$user"; do
  [ -n "$base" ] || continue
  mkdir -p "$base" 2>/dev/null
  if private "$base"; then
    complete "$base/$hash" && start "$base/$hash" "$@"
    [ -n "$tried" ] || intact || {
      echo "godwit: $self is damaged: its contents do not match their checksum" >&2
      exit 70
    }
    problem=$(unpack "$base" 2>&1) && start "$base/$hash" "$@"
  else
    problem="not a folder that this user alone can write to"
  fi
  tried="$tried
  $base: $problem"
done
echo "godwit: cannot unpack or run the program (set GODWIT_CACHE_DIR to a folder with 200 MB of room):$tried" >&2
exit 70
exit
`;
}
