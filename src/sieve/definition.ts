/**
 * What an extension is made of: commands, tests, tags, comparators, match types. The compiler knows no command by name
 * but `if`, `require` and their kin; everything else is a definition in a table.
 */

import type { Action } from "./actions.ts";
import type { CallNode } from "./ast.ts";
import type { SieveLimits } from "./host.ts";
import type { Position } from "./problem.ts";
import type { Flow, Run } from "./run.ts";
import type { CompileEnvironment, Value } from "../expression/mod.ts";
import type { HeaderField } from "../message/mod.ts";

/** A compiled command. Answers at once unless something had to be asked of the host. */
export type Step = (run: Run) => Flow | Promise<Flow>;

/** A compiled test. */
export type Test = (run: Run) => boolean | Promise<boolean>;

/** Tests whose result is known when the script is compiled; blocks behind them are not compiled (RFC 5463 §4). */
export const ALWAYS: Test = () => true;
export const NEVER: Test = () => false;

/** What stands for a test with an error. */
export const BROKEN: Test = () => false;

/** A compiled string: `literal` if it is the same in every run. */
export interface Text {
  readonly literal?: string;
  read(run: Run): string;
}

/** A compiled string list. */
export interface Texts {
  readonly literal?: readonly string[];
  read(run: Run): readonly string[];
}

/** An argument that stands by its place, or behind a tag. */
export interface Parameter {
  /** In lower case, as error messages name it: "key list". */
  readonly name: string;
  /** `strings` takes a single string too. */
  readonly type: "string" | "strings" | "number";
  /** Only one parameter of a command may be optional: it is the one missing when there is one argument too few. */
  readonly optional?: true;
  /** The string must be the same in every run (no variables). */
  readonly constant?: true;
}

/** A tagged argument. */
export interface TagDefinition {
  /** In lower case, without the colon. */
  readonly name: string;
  /** Of tags in one group only one may be used; its name is for error messages ("match type"). */
  readonly group?: string;
  /** What follows the tag. */
  readonly value?: Parameter;
  /** Checks that need no run; called after all arguments were read. */
  check?(use: TagUse, call: Call, compiler: Compiler): void;
  /** The tag makes another command or test of it: this is compiled in its place. */
  command?(use: TagUse, call: Call, compiler: Compiler): Step | undefined;
  test?(use: TagUse, call: Call, compiler: Compiler): Test | undefined;
  /** For tags of `set`. */
  readonly modifier?: Modifier;
  /** For tags of actions: puts what the tag says into the action before it is taken. */
  onAction?(use: TagUse, call: Call, compiler: Compiler): (run: Run, action: Action) => void | Promise<void>;
  /** For tags of tests on header fields (`:mime`): other fields than those of the message with that name. */
  fields?(use: TagUse, call: Call, compiler: Compiler, inner: FieldSource): FieldSource;
  /** The same (`:index`): which of the fields count that were found under all names. */
  choice?(use: TagUse, call: Call, compiler: Compiler): FieldChoice;
  /** The same for what is compared: other values than the text of a field. */
  values?(use: TagUse, call: Call, compiler: Compiler): FieldValues;
}

/** How a tag of `set` changes the value (RFC 5229 §4.1). */
export interface Modifier {
  /** The highest is applied first; two of one order exclude each other. */
  readonly order: number;
  /** @param limit octets that the result may have; only for those that must not be cut anywhere */
  apply(text: string, limit: number): string;
}

/** Variables whose names begin with a word and a dot (RFC 5229 §3). */
export interface Namespace {
  /** What is wrong with a name; undefined if nothing is. Without the namespace, in lower case. */
  problem?(name: string): string | undefined;
  read(run: Run, name: string): Value;
  /** Missing if its variables cannot be set. False if this one cannot. */
  write?(run: Run, name: string, value: Value): boolean;
}

/** A tag that one or more commands or tests get from an extension. */
export interface TagAttachment {
  /** Names of commands or tests, or of tag sets, which begin with a capital: {@link TagSet}. */
  readonly to: readonly string[];
  readonly tag: TagDefinition;
}

/** Tags that come and go with extensions. */
export type TagSet = "Match" | "AddressPart";

/** A tag as it was used. */
export interface TagUse {
  readonly definition: TagDefinition;
  readonly at: Position;
  /** The string behind it; empty if it takes none. */
  readonly text: Text;
  readonly texts: Texts;
  readonly number: number;
  readonly valueAt: Position;
}

/** A command or test whose arguments were found to be right. */
export interface Call {
  readonly node: CallNode;
  readonly at: Position;
  /** "the header test", for messages. */
  readonly title: string;
  readonly tags: readonly TagUse[];
  /** Whether the tag with this name was used. */
  has(tag: string): boolean;
  tag(name: string): TagUse | undefined;
  /** The tag of a group that was used. */
  inGroup(group: string): TagUse | undefined;
  /** Whether an optional argument was given. */
  given(parameter: string): boolean;
  /** The argument for a `string` parameter. @throws {TypeError} if it was not given or is none */
  text(parameter: string): Text;
  /** The argument for a `string` or `strings` parameter. */
  texts(parameter: string): Texts;
  number(parameter: string): number;
  /** Where an argument stands; each string of a list by `index`. */
  position(parameter: string, index?: number): Position;
}

interface Definition {
  /** In lower case. */
  readonly name: string;
  readonly parameters?: readonly Parameter[];
  readonly tags?: readonly TagDefinition[];
  readonly tagSets?: readonly TagSet[];
  /** `one` test, or a `list` in parentheses; none if missing. */
  readonly tests?: "one" | "list";
}

export interface CommandDefinition extends Definition {
  readonly block?: true;
  /** `undefined` after an error that was reported. */
  compile(call: Call, compiler: Compiler): Step | undefined;
}

export interface TestDefinition extends Definition {
  compile(call: Call, compiler: Compiler): Test | undefined;
}

/** How strings are compared (RFC 4790). */
export interface Comparator {
  readonly name: string;
  /** What is left of a string when differences that do not count are taken away; keeps the length for `substring`. */
  fold(text: string): string;
  /** Whether `:contains` and `:matches` work. */
  readonly substring: boolean;
  /** Whether its characters are the octets of UTF-8: `?` stands for one of them (RFC 5228 §2.7.1). */
  readonly octets: boolean;
  /** Order of two folded strings: negative, 0, positive. */
  compare(a: string, b: string): number;
}

/** Whether any of `values` matches. */
export type Matcher = (run: Run, values: readonly string[]) => boolean | Promise<boolean>;

export interface MatchType {
  readonly tag: string;
  /** The argument of the tag, such as the relation of RFC 5231. */
  readonly value?: Parameter;
  /** Needs a comparator that can look into strings. */
  readonly substring?: true;
  compile(use: MatchUse, compiler: Compiler): Matcher | undefined;
}

export interface MatchUse {
  readonly comparator: Comparator;
  readonly keys: Texts;
  readonly tag: TagUse | undefined;
  readonly call: Call;
  /** Where each key stands. */
  keyAt(index: number): Position;
}

/** A part of an address; undefined if this address has none. */
export interface AddressPart {
  readonly tag: string;
  read(address: { readonly local: string; readonly domain: string }, run: Run): string | undefined;
}

/** The fields of the message with a name. */
export type FieldSource = (run: Run, name: string) => readonly HeaderField[] | Promise<readonly HeaderField[]>;

/** Some of the fields that were found, which stand in the order of the names that were asked for. */
export type FieldChoice = (fields: readonly HeaderField[]) => readonly HeaderField[];

/** What a field gives to compare. */
export type FieldValues = (field: HeaderField, run: Run) => readonly string[];

/** One capability (RFC 5228 §6.1) and what it brings. */
export interface Extension {
  /** The name in `require`. */
  readonly capability: string;
  /** Capabilities that come with it. */
  readonly implies?: readonly string[];
  /** Only in scripts whose compile options name it: not for everybody. */
  readonly restricted?: true;
  readonly commands?: readonly CommandDefinition[];
  readonly tests?: readonly TestDefinition[];
  readonly tags?: readonly TagAttachment[];
  readonly comparators?: readonly Comparator[];
  readonly matchTypes?: readonly MatchType[];
  readonly addressParts?: readonly AddressPart[];
  /** Parts that the `envelope` test knows besides `from` and `to`, in lower case, with what they read. */
  readonly envelopeParts?: Readonly<Record<string, EnvelopePart>>;
  readonly namespaces?: Readonly<Record<string, Namespace>>;
  /** Rewrites a string of the script once, when it is compiled. */
  decode?(text: string, at: Position, compiler: Compiler): string;
  /** Compiles a string; undefined leaves it as it is. */
  substitute?(text: string, at: Position, compiler: Compiler): Text | undefined;
  /** Called for each action before it is taken, also for the implicit keep. */
  onAction?(run: Run, action: Action): void;
  /** Called when all `require` commands were read, for what must be required together. */
  onRequire?(at: Position, compiler: Compiler): void;
}

export interface EnvelopePart {
  /** Whether the value is an address, of which parts can be taken. */
  readonly address: boolean;
  /** The value, or several; undefined if there is none. `call` is that of the test. */
  read(run: Run, call: Call): string | readonly string[] | undefined;
}

/** What a definition may ask of the compiler. */
export interface Compiler {
  readonly options: CompileOptions;
  error(at: Position, message: string): void;
  warn(at: Position, message: string): void;
  /** Whether a capability was required, or is there without. */
  enabled(capability: string): boolean;
  /** Whether this program has a capability and the script may use it. */
  known(capability: string): boolean;
  /** Loads a capability, as `require` does. @returns false, reported unless `quiet`, if there is none */
  require(capability: string, at: Position, quiet?: boolean): boolean;
  /** All capabilities that could be required. */
  capabilities(): readonly string[];
  /** Compiles the commands of a block. */
  block(nodes: readonly CallNode[]): Step;
  /** Compiles a test; `NEVER` after an error. */
  test(node: CallNode): Test;
  text(text: string, at: Position): Text;
  /** The matcher that the tags of a call ask for, against a `strings` parameter. */
  matcher(call: Call, keys: string): Matcher | undefined;
  /** The comparator that a call asks for. */
  comparator(call: Call): Comparator | undefined;
  /** The address part that a call asks for. */
  addressPart(call: Call): AddressPart;
  envelopePart(name: string): EnvelopePart | undefined;
  envelopeParts(): readonly string[];
  namespace(name: string): Namespace | undefined;
  /** Fields by name, as `:mime` and its kin want them. */
  fields(call: Call): FieldSource;
  /** What `:index` leaves of the fields; undefined if all count. */
  fieldChoice(call: Call): FieldChoice | undefined;
  /** What fields are compared by; undefined for what the test itself takes. */
  fieldValues(call: Call): FieldValues | undefined;
  /** A command that takes an action, with what tags and extensions add to it. */
  action(call: Call, make: (run: Run) => Action | Promise<Action>): Step;
  /** What an extension keeps for this compilation (one script with what it includes) under `key`. */
  slot<T>(key: { readonly initial: () => T }): T;
  /** A setting of an extension; the names are those that Pigeonhole gives them (`sieve_vacation_min_period`). */
  setting(name: string): string | undefined;
  /** Compiles another script with the same options; its problems are reported. */
  script(source: string, name: string): Step | undefined;
  /** The name of the script being compiled. */
  readonly name: string;
}

/** How scripts are compiled. */
export interface CompileOptions {
  /** For messages and for `include`. */
  readonly name?: string;
  /** Capabilities that scripts may use; all that are not restricted if missing. */
  readonly capabilities?: ReadonlySet<string>;
  /** Restricted capabilities that scripts may use besides. */
  readonly restricted?: ReadonlySet<string>;
  /** Extensions work without `require`. */
  readonly noCapabilityCheck?: boolean;
  /** Errors of the grammar do not hide others. What is found behind them may be a consequence of theirs. */
  readonly thorough?: boolean;
  readonly limits?: Partial<SieveLimits>;
  readonly settings?: ReadonlyMap<string, string>;
  /** Namespaces of variables besides those of extensions, such as `env` and `envelope`. */
  readonly namespaces?: Readonly<Record<string, Namespace>>;
  /** What expressions may name of directories, stores, lists and settings; left unchecked if missing. */
  readonly environment?: CompileEnvironment;
  /** Finds a script to include (RFC 6609); undefined if there is none. */
  loadScript?(location: "personal" | "global", name: string): string | undefined;
  /** Extensions besides the built-in ones. */
  readonly extensions?: readonly Extension[];
}
