/** Who puts records into a zone for us. */

/** A TXT record. */
export interface TxtRecord {
  /** Canonical name: lower case, no final dot. */
  readonly name: string;
  readonly value: string;
  /** Seconds. */
  readonly ttl: number;
}

/** A record that was added. */
export interface AddedRecord {
  /** The zone that holds it. */
  readonly zone: string;
  /** Servers that must have it first, where that is known. */
  readonly servers: readonly { readonly ip: string; readonly port: number }[];
  /** Takes it away. @throws {AcmeError} (rejects) if that does not succeed */
  remove(signal: AbortSignal): Promise<void>;
}

/** A way to change a zone. */
export interface DnsProvider {
  /** Adds a record beside those that are there. @throws {AcmeError} (rejects) if that does not succeed */
  add(record: TxtRecord, signal: AbortSignal): Promise<AddedRecord>;
}
