/** `header`, `address`, `exists`, `size` (RFC 5228 §5.1, §5.5, §5.7, §5.9). */

import type { Call, Compiler, FieldSource, FieldValues, Test, TestDefinition, Texts } from "../definition.ts";
import { isFieldName, parseAddressList } from "../../message/mod.ts";
import type { HeaderField } from "../../message/mod.ts";
import type { Run } from "../run.ts";

/** Fields that hold addresses (RFC 5228 §5.1 asks for those of RFC 5322; the others are in common use). */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  "from",
  "to",
  "cc",
  "bcc",
  "sender",
  "reply-to",
  "resent-from",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "resent-sender",
  "resent-reply-to",
  "mail-followup-to",
  "mail-reply-to",
  "return-path",
  "delivered-to",
  "x-original-to",
  "envelope-to",
  "envelope-from",
  "errors-to",
  "return-receipt-to",
  "disposition-notification-to",
  "approved",
  "list-post",
  "x-beenthere",
  "x-complaints-to",
]);

/** The fields named by a list, one name after the other. */
function fieldsOf(
  source: FieldSource,
  names: Texts,
): (run: Run) => readonly HeaderField[] | Promise<readonly HeaderField[]> {
  const fixed = names.literal;
  if (fixed?.length === 1) {
    const [name = ""] = fixed;
    return (run) => source(run, name);
  }
  return (run) => {
    const found = (fixed ?? names.read(run)).map((name) => source(run, name));
    const ready: HeaderField[] = [];
    for (const fields of found) {
      if (fields instanceof Promise) return Promise.all(found).then((all) => all.flat());
      ready.push(...fields);
    }
    return ready;
  };
}

/** Tests some values of some fields against the keys of a call. */
function matchFields(call: Call, compiler: Compiler, names: string, values: FieldValues): Test | undefined {
  const matcher = compiler.matcher(call, "key list");
  if (matcher === undefined) return undefined;
  const fields = fieldsOf(compiler.fields(call), call.texts(names));
  const choose = compiler.fieldChoice(call);
  const collect = (run: Run, found: readonly HeaderField[]) => {
    if (found.length === 0) return matcher(run, []);
    const chosen = choose === undefined ? found : choose(found);
    return matcher(run, chosen.flatMap((field) => values(field, run)));
  };
  return (run) => {
    const found = fields(run);
    return found instanceof Promise ? found.then((later) => collect(run, later)) : collect(run, found);
  };
}

/** Says which names of a fixed list cannot be names of fields. */
export function checkFieldNames(call: Call, parameter: string, compiler: Compiler): void {
  call.texts(parameter).literal?.forEach((name, index) => {
    if (!isFieldName(name)) {
      compiler.warn(call.position(parameter, index), `'${name.slice(0, 80)}' cannot be the name of a header field`);
    }
  });
}

const headerTest: TestDefinition = {
  name: "header",
  parameters: [{ name: "header names", type: "strings" }, { name: "key list", type: "strings" }],
  tagSets: ["Match"],
  compile(call, compiler) {
    checkFieldNames(call, "header names", compiler);
    const values = compiler.fieldValues(call) ?? ((field) => [field.text().trim()]);
    return matchFields(call, compiler, "header names", values);
  },
};

const addressTest: TestDefinition = {
  name: "address",
  parameters: [{ name: "header list", type: "strings" }, { name: "key list", type: "strings" }],
  tagSets: ["Match", "AddressPart"],
  compile(call, compiler) {
    let wrong = false;
    // RFC 5703 §4.2: which fields of parts hold addresses is not known.
    const anyField = call.has("mime");
    call.texts("header list").literal?.forEach((name, index) => {
      if (anyField || ADDRESS_FIELDS.has(name.toLowerCase())) return;
      wrong = true;
      compiler.error(
        call.position("header list", index),
        `the header field '${name.slice(0, 80)}' is not allowed in the address test: it holds no addresses`,
      );
    });
    if (wrong) return undefined;
    const part = compiler.addressPart(call);
    return matchFields(call, compiler, "header list", (field, run) => {
      // RFC 5228 §5.1: a name that came from a variable is not known before.
      if (!anyField && !ADDRESS_FIELDS.has(field.lower)) return [];
      return parseAddressList(field.value()).flatMap((address) => {
        // What is no address still has a text, which ":all" compares.
        if (!address.valid) return part.tag === "all" ? [address.source] : [];
        const value = part.read(address, run);
        return value === undefined ? [] : [value];
      });
    });
  },
};

const existsTest: TestDefinition = {
  name: "exists",
  parameters: [{ name: "header names", type: "strings" }],
  compile(call, compiler) {
    checkFieldNames(call, "header names", compiler);
    const source = compiler.fields(call);
    const names = call.texts("header names");
    const from = (run: Run, list: readonly string[], start: number): boolean | Promise<boolean> => {
      for (let i = start; i < list.length; i++) {
        const found = source(run, list[i] ?? "");
        if (found instanceof Promise) return found.then((later) => later.length > 0 && from(run, list, i + 1));
        if (found.length === 0) return false;
      }
      return true;
    };
    return (run) => from(run, names.read(run), 0);
  },
};

const sizeTest: TestDefinition = {
  name: "size",
  parameters: [{ name: "limit", type: "number" }],
  tags: [{ name: "over", group: "relation" }, { name: "under", group: "relation" }],
  compile(call, compiler) {
    const limit = call.number("limit");
    if (call.has("over")) return ({ message }) => message.size > limit;
    if (call.has("under")) return ({ message }) => message.size < limit;
    compiler.error(call.at, "the size test needs ':over' or ':under'");
    return undefined;
  },
};

export const MESSAGE_TESTS: readonly TestDefinition[] = [headerTest, addressTest, existsTest, sizeTest];
