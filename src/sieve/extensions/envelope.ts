/** `envelope` (RFC 5228 §5.4). Extensions add parts by `envelopeParts`. */

import type { EnvelopePart, Extension } from "../definition.ts";
import { parseAddressList } from "../../message/mod.ts";
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
      let wrong = false;
      call.texts("envelope part").literal?.forEach((name, index) => {
        if (compiler.envelopePart(name.toLowerCase()) !== undefined) return;
        wrong = true;
        compiler.error(
          call.position("envelope part", index),
          `unknown envelope part '${name.slice(0, 80)}'; it must be one of ${compiler.envelopeParts().join(", ")}`,
        );
      });
      const matcher = compiler.matcher(call, "key list");
      if (wrong || matcher === undefined) return undefined;
      const addressPart = compiler.addressPart(call);
      const names = call.texts("envelope part");
      const valuesOf = (run: Run, name: string): readonly string[] => {
        const part = compiler.envelopePart(name.toLowerCase());
        const value = part?.read(run, call);
        if (part === undefined || value === undefined) return [];
        if (typeof value !== "string") return addressPart.tag === "all" ? value : [];
        if (!part.address) return addressPart.tag === "all" ? [value] : [];
        // RFC 5228 §5.4: the null reverse-path is the empty string whatever part is asked for.
        if (value === "") return [""];
        const [address] = parseAddressList(value);
        if (address?.valid !== true) return addressPart.tag === "all" ? [value] : [];
        const read = addressPart.read(address, run);
        return read === undefined ? [] : [read];
      };
      return (run) => matcher(run, names.read(run).flatMap((name) => valuesOf(run, name)));
    },
  }],
}];
