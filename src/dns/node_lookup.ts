/** The resolver in the form that connections of node want. */

import type { LookupFunction } from "node:net";
import type { Resolver } from "./resolver.ts";

/** Looks names up by `resolver`, both families, instead of by the system. */
export function nodeLookup(resolver: Pick<Resolver, "a" | "aaaa">): LookupFunction {
  return (hostname, options, callback) => {
    const found = async () => {
      const families = await Promise.allSettled([resolver.a(hostname), resolver.aaaa(hostname)]);
      return families.flatMap((answer, index) =>
        answer.status === "fulfilled"
          ? answer.value.records.map((address) => ({ address, family: index === 0 ? 4 : 6 }))
          : []
      );
    };
    found().then((addresses) => {
      const [first] = addresses;
      if (first === undefined) return callback(new Error(`${hostname} has no address`), "", 4);
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    }, (error) => callback(error instanceof Error ? error : new Error(String(error)), "", 4));
  };
}
