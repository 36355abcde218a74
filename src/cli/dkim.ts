/** `godwit dkim`: makes keys for signatures. */

import { Command } from "commander";
import { createPrivateKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { publicKeyRecord } from "../authentication/mod.ts";
import { domainToAscii, isDomain } from "../smtp/mod.ts";
import { printRecords } from "./dns_record.ts";
import type { Output } from "./output.ts";

/** Options of `godwit dkim keygen`. */
export interface KeygenOptions {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  readonly bits: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Builds the command; `ending` runs an action and keeps its exit status. */
export function dkimCommand(output: Output, ending: (action: Promise<number>) => Promise<void>): Command {
  const dkim = new Command("dkim").description("keys for DKIM signatures");
  dkim.command("keygen")
    .description("make a key, and print the TXT record to publish")
    .requiredOption("--domain <domain>", "domain that signs (d=)")
    .requiredOption("--selector <selector>", "name of the key (s=)")
    .option("--algorithm <algorithm>", "rsa or ed25519", "rsa")
    .option("--bits <bits>", "size of an RSA key", "2048")
    .option("--out <file>", "file for the private key (default: <selector>._domainkey.<domain>.pem)")
    .option("--json", "print JSON")
    .action((options: KeygenOptions) => ending(keygen(options, output)));
  return dkim;
}

// RFC 8301 §3.2: shorter keys are not accepted, verifiers need not take longer ones.
const SHORTEST = 1024;
const ADVISED = 2048;
const LONGEST = 4096;

const SELECTOR = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/i;

/**
 * Writes a new private key to a file that nobody else can read, and prints the record. A file that exists is left alone.
 *
 * @returns 0, 1 if the file cannot be written, 2 if an option is wrong
 */
export async function keygen(options: KeygenOptions, output: Output): Promise<number> {
  const wrong = (message: string) => {
    output.error(message);
    return 2;
  };
  const domain = isDomain(options.domain) ? domainToAscii(options.domain) : undefined;
  if (domain === undefined) return wrong(`--domain ${options.domain}: expected a domain such as example.net`);
  const { selector, algorithm } = options;
  if (!SELECTOR.test(selector)) {
    return wrong(`--selector ${selector}: expected letters, digits and hyphens, in labels with dots between`);
  }
  if (algorithm !== "rsa" && algorithm !== "ed25519") {
    return wrong(`--algorithm ${algorithm}: expected rsa or ed25519`);
  }
  const bits = Number(options.bits);
  if (!Number.isInteger(bits) || bits < SHORTEST || bits > LONGEST) {
    return wrong(`--bits ${options.bits}: expected a number from ${SHORTEST} to ${LONGEST}`);
  }
  const name = `${selector}._domainkey.${domain}`;
  const file = options.out ?? `${name}.pem`;
  const pem = await makeKey(algorithm, bits);
  try {
    await Deno.writeTextFile(file, pem, { createNew: true, mode: 0o600 });
  } catch (error) {
    output.error(
      error instanceof Deno.errors.AlreadyExists
        ? `${file} exists; a key is never overwritten, name another file with --out`
        : `cannot write ${file}: ${error instanceof Error ? error.message : error}`,
    );
    return 1;
  }
  const record = {
    name,
    type: "TXT",
    value: publicKeyRecord(createPrivateKey(pem)),
    purpose: `DKIM: public key of ${file}`,
  } as const;
  if (algorithm === "rsa" && bits < ADVISED) output.error(`${ADVISED} bits or more are advised (RFC 8301)`);
  printRecords([record], options.json === true, output);
  return 0;
}

async function makeKey(algorithm: "rsa" | "ed25519", bits: number): Promise<string> {
  const make = promisify(generateKeyPair);
  const { privateKey } = algorithm === "rsa" ? await make("rsa", { modulusLength: bits }) : await make("ed25519");
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
