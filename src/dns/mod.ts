/**
 * DNS: asks name servers, checks that what comes back answers the question, and keeps it for as long as it may be kept.
 *
 * Other rooms see only {@link Resolver}; a test gives them a zone instead. An answer is "secure" when the server says so
 * (the AD bit), which is worth as much as the path to that server; or, by configuration, when `dnssec/` has followed the
 * signatures from a trusted key.
 *
 * @example
 * ```ts
 * const resolver = createResolver(config.resolver, { clock: systemClock, random, emit });
 * const { records } = await resolver.mx("example.net");
 * ```
 *
 * @module
 */

export { createResolver, type ResolverOptions } from "./create_resolver.ts";
export { type ReadName, readName, toWire } from "./dnssec/name.ts";
export { canonicalName } from "./name.ts";
export { nodeLookup } from "./node_lookup.ts";
export { type Answer, DnsError, type MxRecord, type Resolver, type Security, type TlsaRecord } from "./resolver.ts";
