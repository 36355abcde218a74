/** `envelope` (RFC 5228 §5.4). Extensions add parts by `envelopeParts`. */

import type { EnvelopePart, Extension } from "../definition.ts";
import { parseAddressList } from "../../message/mod.ts";
import { SieveRuntimeError } from "../problem.ts";
import type { Run } from "../run.ts";

const PARTS: Readonly<Record<string, EnvelopePart>> = {
  from: { address: true, read: ({ envelope: { from } }) => from },
  to: { address: true, read: ({ envelope: { to } }) => to },
  // Who logged in; a habit of Dovecot.
  auth: { address: true, read: ({ envelope: { auth } }) => auth },
};

export const envelope: readonly Extension[] = [{
  capability: "envelope",
  envelopeParts: PARTS,
  tests: [{
    name: "envelope",
    parameters: [{ name: "envelope part", type: "strings" }, { name: "key list", type: "strings" }],
    tagSets: ["Match", "AddressPart"],
    compile(call, compiler) {
      const addressPart = compiler.addressPart(call);
      const taken = call.inGroup("address part")?.definition.name;
      /** What is wrong with the name of a part here; undefined if nothing is. */
      const problemOf = (name: string): string | undefined => {
        const part = compiler.envelopePart(name.toLowerCase());
        if (part === undefined) {
          const known = compiler.envelopeParts().join(", ");
          return `unknown envelope part '${name.slice(0, 80)}'; it must be one of ${known}`;
        }
        // RFC 6009 §4 and §5.
        if (part.address || taken === undefined) return undefined;
        return `the envelope part '${name}' is no address, of which ':${taken}' could be taken`;
      };
      let wrong = false;
      call.texts("envelope part").literal?.forEach((name, index) => {
        const problem = problemOf(name);
        if (problem === undefined) return;
        wrong = true;
        compiler.error(call.position("envelope part", index), problem);
      });
      const matcher = compiler.matcher(call, "key list");
      if (wrong || matcher === undefined) return undefined;
      const names = call.texts("envelope part");
      const counting = call.inGroup("match type")?.definition.name === "count";
      const valuesOf = (run: Run, name: string): readonly string[] => {
        const problem = names.literal === undefined ? problemOf(name) : undefined;
        if (problem !== undefined) throw new SieveRuntimeError(problem, call.at);
        const part = compiler.envelopePart(name.toLowerCase());
        const value = part?.read(run, call);
        if (part === undefined || value === undefined) return [];
        if (!part.address) return typeof value === "string" ? [value] : value;
        if (typeof value !== "string") return value;
        // RFC 5228 §5.4: the null reverse-path is the empty string whatever part is asked for. RFC 5231 §4.2: it is no
        // address that would be counted.
        if (value === "") return counting ? [] : [""];
        const [address] = parseAddressList(value);
        if (address?.valid !== true) return addressPart.tag === "all" ? [value] : [];
        const read = addressPart.read(address, run);
        return read === undefined ? [] : [read];
      };
      return (run) => matcher(run, names.read(run).flatMap((name) => valuesOf(run, name)));
    },
  }],
}];
