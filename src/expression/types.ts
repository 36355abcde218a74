/** The types that an expression's users meet: values, contexts, scopes and compiled settings. */

/** What an expression computes with. */
export type Value = string | number | boolean | readonly Value[];

/** Where an expression is evaluated; decides which variables it may name. */
export type Context = "conn" | "ehlo" | "mail" | "rcpt" | "data" | "queue" | "host" | "report" | "http";

/** The functions that reach outside: directories, stores, lists, DNS. All may answer at once or later. */
export interface FunctionHost {
  isLocalDomain(directory: string, domain: string): boolean | Promise<boolean>;
  isLocalAddress(directory: string, address: string): boolean | Promise<boolean>;
  keyGet(list: string, key: string): Value | Promise<Value>;
  keyExists(list: string, key: string): boolean | Promise<boolean>;
  keySet(store: string, key: string, value: Value): boolean | Promise<boolean>;
  counterGet(store: string, name: string): number | Promise<number>;
  counterIncr(store: string, name: string, amount: number): number | Promise<number>;
  sqlQuery(store: string, sql: string, args: readonly Value[]): Value | Promise<Value>;
  dnsQuery(name: string, type: string): readonly string[] | Promise<readonly string[]>;
}

/**
 * What an expression is evaluated against. `variables` is read by name; a variable that is absent reads as the empty
 * value of its type. One scope object may be kept and changed for the life of a session.
 */
export interface Scope {
  readonly variables: Readonly<Record<string, Value | undefined>>;
  readonly functions: FunctionHost;
  /** Told of run-time errors (`eval.error` and kin); optional. */
  readonly onError?: (error: EvaluationError) => void;
}

/** A run-time error of an expression that was absorbed. */
export interface EvaluationError {
  /** `eval.error`, `eval.directory-not-found`, `smtp.id-not-found`, ... */
  readonly event: string;
  /** The setting, such as `session.rcpt.relay`. */
  readonly key: string;
  readonly message: string;
}

/**
 * A function that reaches outside could not reach it. Inbound stages answer `451 4.3.0`, outbound recipients are
 * deferred; never a permanent refusal.
 */
export class LookupUnavailable extends Error {
  override readonly name = "LookupUnavailable";
}

/** A compiled setting of type `ctx→T`: an expression, an if/then/else list or a constant, coerced to `T`. */
export interface Setting<T> {
  /** Key path of the setting, such as `session.auth.require`. */
  readonly key: string;
  /** True if the value does not depend on the scope; `evaluate` then ignores it. */
  readonly isConstant: boolean;
  /**
   * The variables that the value may depend on, those of the default included where it may come to that. Absent in
   * settings that were not compiled: nothing is known of them.
   */
  readonly reads?: ReadonlySet<string>;
  /**
   * The value for this scope. Synchronous unless a function reaches outside and answers later.
   *
   * @throws {LookupUnavailable} (or rejects with it) if a directory, store or DNS server could not be reached
   */
  evaluate(scope: Scope): T | Promise<T>;
  /**
   * The value with an account of how it came about. Slow: everything is compiled anew. Absent in settings that were
   * not compiled.
   *
   * @throws {LookupUnavailable} (rejects with it) as {@link evaluate}
   */
  explain?(scope: Scope): Promise<SettingAccount<T>>;
}

/** How a setting came to its value. */
export interface SettingAccount<T> {
  readonly value: T;
  /** Items that were looked at, in order: those of the file, and those of the default if it came to that. */
  readonly steps: readonly AccountStep[];
  /** Run-time errors that were absorbed. */
  readonly errors: readonly string[];
}

/** One item of a setting that was looked at. */
export interface AccountStep {
  readonly from: "file" | "default";
  /** Position in the if/then/else list, from 0; undefined if the setting is none. */
  readonly item: number | undefined;
  /** Text of the condition; undefined if there is none. */
  readonly condition: string | undefined;
  /** Whether the condition held. */
  readonly met: boolean;
  /** Text of what it gives if the condition holds. */
  readonly result: string;
  /** What the result came to, before it was turned into the type of the setting. */
  readonly gave: Value | undefined;
}
