/** Looks after the certificates of the configuration: takes up files that change, and says when one is about to expire. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { CertificateConfig } from "../config/mod.ts";
import { certificateEnd, loadCertificate } from "../net/mod.ts";
import type { Emit } from "../telemetry/mod.ts";

/** The files of certificates. */
export interface CertificateFiles {
  /** Something that differs when the file does; `undefined` if there is none. */
  state(path: string): Promise<string | undefined>;
  /** @throws if it cannot be read */
  read(path: string): Promise<string>;
}

/** What a watch works with. */
export interface WatchOptions {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly files: CertificateFiles;
  /** Certificates that others look after, of which nothing but their end is looked at. */
  readonly others?: () => readonly CertificateConfig[];
  /** Told of certificates that are used from now on: all of them. */
  use(certificates: readonly CertificateConfig[]): void;
}

/** A running watch. */
export interface CertificateWatch {
  /** The certificates as they are now. */
  readonly certificates: readonly CertificateConfig[];
  /** Looks after these from now on. */
  reconfigure(certificates: readonly CertificateConfig[]): void;
  close(): void;
}

/** Milliseconds between two looks at the files, and between two warnings about one certificate. */
const LOOK = 60_000;
const WARN = 86_400_000;

/** The file system's files. */
export const systemFiles: CertificateFiles = {
  async state(path) {
    try {
      const { mtime, size, ino } = await Deno.stat(path);
      return `${mtime?.getTime()} ${size} ${ino}`;
    } catch {
      return undefined;
    }
  },
  read: (path) => Deno.readTextFile(path),
};

/** Starts a watch. */
export function watchCertificates(initial: readonly CertificateConfig[], options: WatchOptions): CertificateWatch {
  const { clock, emit, files } = options;
  let certificates = initial;
  let timer: Timer | undefined;
  let closed = false;
  /** State of each certificate's files when they were read last. */
  const states = new WeakMap<CertificateConfig, string>();
  /** What was wrong at the last look, with the state of the files. */
  const faults = new WeakMap<CertificateConfig, string>();
  /** When a warning about a certificate was given last. */
  const warned = new Map<string, number>();

  const warn = () => {
    const now = clock.now();
    for (const { id, cert } of [...certificates, ...options.others?.() ?? []]) {
      const end = certificateEnd(cert, now);
      if (end?.warning === undefined || now < (warned.get(id) ?? -Infinity) + WARN) continue;
      warned.set(id, now);
      emit("tls.certificate-expires", { id, expires: new Date(end.expires).toISOString(), details: end.warning });
    }
  };

  /** The certificate as its files are now; the old one if they have not changed, or are of no use (yet). */
  const renew = async (old: CertificateConfig): Promise<CertificateConfig> => {
    const { id, files: paths } = old;
    if (paths === undefined) return old;
    const found = await Promise.all([paths.cert, paths.privateKey].map((path) => path && files.state(path)));
    const state = found.join(" | ");
    if (states.get(old) === state) return old;
    try {
      const cert = paths.cert === undefined ? old.cert : await files.read(paths.cert);
      const privateKey = paths.privateKey === undefined ? old.privateKey : await files.read(paths.privateKey);
      const renewed = cert === old.cert && privateKey === old.privateKey ? old : { ...old, cert, privateKey };
      if (renewed !== old) loadCertificate(renewed);
      states.set(renewed, state);
      faults.delete(old);
      return renewed;
    } catch (error) {
      // Whether a file may be read changes without a trace in it, so it is tried again; and told once.
      const reason = error instanceof Error ? error.message : String(error);
      if (faults.get(old) !== `${state} ${reason}`) emit("tls.certificate-error", { id, reason });
      faults.set(old, `${state} ${reason}`);
      return old;
    }
  };

  const look = async () => {
    const seen = certificates;
    const next = await Promise.all(seen.map(renew));
    // A reload that has come in between has read the files itself.
    if (closed || seen !== certificates || next.every((one, index) => one === seen[index])) return;
    certificates = next;
    options.use(next);
    for (const [index, { id, cert }] of next.entries()) {
      if (next[index] === seen[index]) continue;
      warned.delete(id);
      const end = certificateEnd(cert, clock.now());
      emit("tls.certificate-loaded", { id, ...(end && { expires: new Date(end.expires).toISOString() }) });
    }
  };

  const plan = () => {
    timer = clock.after(LOOK, () => {
      look().finally(() => {
        if (closed) return;
        warn();
        plan();
      });
    });
  };

  warn();
  look();
  plan();
  return {
    get certificates() {
      return certificates;
    },
    reconfigure(next) {
      certificates = next;
      warned.clear();
      warn();
      look();
    },
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
