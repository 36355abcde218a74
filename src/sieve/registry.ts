/** The capabilities that a script has at hand. */

import type {
  AddressPart,
  CommandDefinition,
  Comparator,
  EnvelopePart,
  Extension,
  MatchType,
  Namespace,
  TagAttachment,
  TagDefinition,
  TagSet,
  TestDefinition,
} from "./definition.ts";

/** What the extensions loaded so far have brought. */
export interface Vocabulary {
  readonly loaded: ReadonlyMap<string, Extension>;
  command(name: string): CommandDefinition | undefined;
  test(name: string): TestDefinition | undefined;
  commandNames(): Iterable<string>;
  testNames(): Iterable<string>;
  comparator(name: string): Comparator | undefined;
  comparatorNames(): Iterable<string>;
  matchType(tag: string): MatchType | undefined;
  addressPart(tag: string): AddressPart | undefined;
  envelopePart(name: string): EnvelopePart | undefined;
  envelopeParts(): Iterable<string>;
  namespace(name: string): Namespace | undefined;
  /** The tags of a command or test, with those that extensions add. */
  tagsOf(definition: { name: string; tags?: readonly TagDefinition[]; tagSets?: readonly TagSet[] }): TagDefinition[];
  add(extension: Extension): void;
}

const COMPARATOR_TAG: TagDefinition = {
  name: "comparator",
  value: { name: "comparator name", type: "string", constant: true },
  check({ text, valueAt }, call, compiler) {
    // The compiler says what is wrong with it.
    if (text.literal !== undefined) compiler.comparator(call);
    else compiler.error(valueAt, "the comparator must be named by a fixed string");
  },
};

/** @param base what needs no `require` */
export function createVocabulary(base: Extension): Vocabulary {
  const loaded = new Map<string, Extension>();
  const commands = new Map<string, CommandDefinition>();
  const tests = new Map<string, TestDefinition>();
  const comparators = new Map<string, Comparator>();
  const matchTypes = new Map<string, MatchType>();
  const addressParts = new Map<string, AddressPart>();
  const envelopeParts = new Map<string, EnvelopePart>();
  const namespaces = new Map<string, Namespace>();
  const attachments: TagAttachment[] = [];
  const vocabulary: Vocabulary = {
    loaded,
    command: (name) => commands.get(name),
    test: (name) => tests.get(name),
    commandNames: () => commands.keys(),
    testNames: () => tests.keys(),
    comparator: (name) => comparators.get(name),
    comparatorNames: () => comparators.keys(),
    matchType: (tag) => matchTypes.get(tag),
    addressPart: (tag) => addressParts.get(tag),
    envelopePart: (name) => envelopeParts.get(name),
    envelopeParts: () => envelopeParts.keys(),
    namespace: (name) => namespaces.get(name),
    tagsOf({ name, tags = [], tagSets = [] }) {
      const all = [...tags];
      if (tagSets.includes("Match")) {
        all.push(COMPARATOR_TAG);
        for (const { tag, value } of matchTypes.values()) {
          all.push({ name: tag, group: "match type", ...(value === undefined ? {} : { value }) });
        }
      }
      if (tagSets.includes("AddressPart")) {
        for (const tag of addressParts.keys()) all.push({ name: tag, group: "address part" });
      }
      const wanted: readonly string[] = [name, ...tagSets];
      for (const { to, tag } of attachments) if (to.some((each) => wanted.includes(each))) all.push(tag);
      return all;
    },
    add(extension) {
      if (loaded.has(extension.capability)) return;
      loaded.set(extension.capability, extension);
      for (const each of extension.commands ?? []) commands.set(each.name, each);
      for (const each of extension.tests ?? []) tests.set(each.name, each);
      for (const each of extension.comparators ?? []) comparators.set(each.name, each);
      for (const each of extension.matchTypes ?? []) matchTypes.set(each.tag, each);
      for (const each of extension.addressParts ?? []) addressParts.set(each.tag, each);
      for (const [name, part] of Object.entries(extension.envelopeParts ?? {})) envelopeParts.set(name, part);
      for (const [name, space] of Object.entries(extension.namespaces ?? {})) namespaces.set(name, space);
      attachments.push(...extension.tags ?? []);
    },
  };
  vocabulary.add(base);
  return vocabulary;
}
