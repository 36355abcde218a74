/** Where fields go and which are meant, against a model: a list with the Received field of this server in it. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { FilteredMessage, Modification } from "../../../src/filter/mod.ts";
import { memoryEditable, modify } from "../../../src/filter/modify.ts";
import { octets } from "../../support/bytes.ts";
import { runs } from "../../support/fuzz_runs.ts";

interface Field {
  readonly name: string;
  readonly value: string;
  /** The one that this server adds, which filters do not see. */
  readonly ours?: true;
}

type Edit =
  | { readonly kind: "add"; readonly name: string; readonly value: string }
  | { readonly kind: "insert"; readonly position: number; readonly name: string; readonly value: string }
  | { readonly kind: "change"; readonly nth: number; readonly name: string; readonly value: string }
  | { readonly kind: "delete"; readonly nth: number; readonly name: string };

/** Sendmail's rules, as simply as they can be said. */
function edited(fields: readonly Field[], edit: Edit): readonly Field[] {
  if (edit.kind === "add") return [...fields, edit];
  if (edit.kind === "insert") return fields.toSpliced(edit.position, 0, edit);
  const seen = fields.filter(({ name, ours }) => !ours && name.toLowerCase() === edit.name.toLowerCase());
  const target = seen[edit.nth - 1];
  if (target === undefined) return edit.kind === "change" ? [...fields, edit] : fields;
  return edit.kind === "change"
    ? fields.with(fields.indexOf(target), edit)
    : fields.toSpliced(fields.indexOf(target), 1);
}

function modificationOf(edit: Edit): Modification {
  switch (edit.kind) {
    case "add":
      return { kind: "add-field", name: edit.name, value: octets(` ${edit.value}`) };
    case "insert":
      return { kind: "add-field", name: edit.name, position: edit.position, value: octets(` ${edit.value}`) };
    case "change":
      return { kind: "change-field", name: edit.name, nth: edit.nth - 1, value: octets(` ${edit.value}`) };
    case "delete":
      return { kind: "change-field", name: edit.name, nth: edit.nth - 1 };
  }
}

const name = fc.constantFrom("A", "a", "B", "Received");
const value = fc.stringMatching(/^[a-z0-9]{1,5}$/);
const nth = fc.integer({ min: 1, max: 4 });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant("add"), name, value }),
  fc.record({ kind: fc.constant("insert"), position: fc.integer({ min: 0, max: 12 }), name, value }),
  fc.record({ kind: fc.constant("change"), nth, name, value }),
  fc.record({ kind: fc.constant("delete"), nth, name }),
) as fc.Arbitrary<Edit>;

const RECEIVED: Field = { name: "Received", value: "from x by us", ours: true };
const BODY = "\r\nbody\r\n";

function written(fields: readonly Field[]): string {
  return fields.filter(({ ours }) => !ours).map(({ name, value }) => `${name}: ${value}\r\n`).join("") + BODY;
}

for (const isReceivedAdded of [true, false]) {
  Deno.test(`several filters edit fields as the model does, ${isReceivedAdded ? "with" : "without"} a Received field of ours`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name, value }), { maxLength: 8 }),
        fc.array(fc.array(edit, { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
        (fields, filters) => {
          let model: readonly Field[] = isReceivedAdded ? [RECEIVED, ...fields] : fields;
          let message: FilteredMessage = {
            id: "1",
            content: memoryEditable(octets(written(fields))),
            serverFields: [octets("Authentication-Results: us; none\r\n")].concat(
              isReceivedAdded ? [octets("Received: from x by us\r\n")] : [],
            ),
          };
          for (const edits of filters) {
            for (const each of edits) model = edited(model, each);
            const { transaction, problems } = modify(
              { sender: "", parameters: {}, recipients: [], message },
              edits.map(modificationOf),
            );
            assert.deepEqual(problems, []);
            message = transaction.message!;
            assert.equal(new TextDecoder().decode(message.content.head), written(model));
            assert.equal(message.above ?? 0, Math.max(0, model.findIndex(({ ours }) => ours)));
          }
        },
      ),
      { numRuns: runs(500) },
    );
  });
}

Deno.test("what is above our own field stays there as long as nobody puts anything before it", () => {
  const message: FilteredMessage = {
    id: "1",
    content: memoryEditable(octets(`X-Top: 1\r\nA: 2\r\n${BODY}`)),
    serverFields: [octets("Received: from x by us\r\n")],
    above: 1,
  };
  const head = (text: string): Modification => ({ kind: "replace-header", head: octets(`${text}\r\n`) });
  for (
    const [change, above] of [
      [head("X-Top: 1\r\nA: changed\r\n"), 1],
      [head("New: 0\r\nX-Top: 1\r\nA: 2\r\n"), 0],
      [head("A: 2\r\n"), 0],
      [{ kind: "replace-body", body: octets("other") }, 1],
      [{ kind: "replace-message", bytes: octets("B: 1\r\n\r\n") }, 0],
    ] as const
  ) {
    const given = { sender: "", parameters: {}, recipients: [], message };
    const insert: Modification = { kind: "add-field", name: "N", value: octets(" n"), position: above + 1 };
    const { transaction } = modify(given, [change, insert]);
    // Right below our own field: behind what is above it, before the rest.
    assert.equal(transaction.message?.above, above, change.kind);
    const lines = new TextDecoder().decode(transaction.message?.content.head).split("\r\n");
    assert.equal(lines[above], "N: n");
  }
});
