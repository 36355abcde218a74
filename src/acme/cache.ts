/** Account keys and certificates in a folder, so that a start needs neither store nor authority. */

import { join } from "node:path";
import type { CertificateWithKey } from "./x509.ts";

/** A folder with secrets. What cannot be read is as good as absent. */
export interface Cache {
  key(name: string): string | undefined;
  /** @throws {Error} if the file cannot be written */
  keepKey(name: string, privateKey: string): void;
  certificate(id: string): CertificateWithKey | undefined;
  /** Names of the certificates that are there. */
  certificates(): readonly string[];
  /** @throws {Error} if the file cannot be written */
  keepCertificate(id: string, certificate: CertificateWithKey): void;
}

const KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]+?-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?/;

/** Opens a folder, which may not be there yet. */
export function openCache(folder: string): Cache {
  const read = (name: string): string | undefined => {
    try {
      return Deno.readTextFileSync(join(folder, name));
    } catch {
      return undefined;
    }
  };
  const write = (name: string, text: string) => {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, name);
    const fresh = `${path}.new`;
    // A file that was left behind keeps its mode, so it must not be written to.
    remove(fresh);
    Deno.writeTextFileSync(fresh, text, { mode: 0o600, createNew: true });
    Deno.renameSync(fresh, path);
  };
  return {
    key: (name) => read(`${name}.pem`),
    keepKey: (name, privateKey) => write(`${name}.pem`, privateKey),
    certificate(id) {
      const text = read(`${id}.pem`);
      const privateKey = text === undefined ? undefined : KEY.exec(text)?.[0];
      if (text === undefined || privateKey === undefined) return undefined;
      return { cert: text.replace(KEY, ""), privateKey };
    },
    certificates() {
      try {
        return [...Deno.readDirSync(folder)].flatMap(({ name }) => /^(.+-[0-9a-f]{20})\.pem$/.exec(name)?.[1] ?? []);
      } catch {
        return [];
      }
    },
    keepCertificate: (id, { cert, privateKey }) => write(`${id}.pem`, privateKey + cert),
  };
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
