/** Settings that tell how they came to their values. */

import type { Config } from "../../config/mod.ts";
import { formatValue, type Scope, type Setting, type SettingAccount } from "../../expression/mod.ts";
import type { Decision } from "./explanation.ts";

/** A setting was evaluated: its account comes when it is there. */
export type Observe = (key: string, account: Promise<SettingAccount<unknown>>) => void;

/** The same configuration, in which every setting reports each evaluation. */
export function observeSettings<T>(config: T, observe: Observe): T {
  return mapped(config, observe) as T;
}

function mapped(value: unknown, observe: Observe): unknown {
  if (Array.isArray(value)) return value.map((item) => mapped(item, observe));
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, mapped(item, observe)]));
  if (isSetting(value)) return observed(value, observe);
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapped(item, observe)]));
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isSetting(value: unknown): value is Setting<unknown> {
  return isPlain(value) && typeof value.key === "string" && typeof value.evaluate === "function" &&
    typeof value.isConstant === "boolean";
}

function observed(setting: Setting<unknown>, observe: Observe): Setting<unknown> {
  return {
    ...setting,
    evaluate(scope) {
      const account = explainSetting(setting, scope);
      observe(setting.key, account);
      // Whoever knows that a value is constant may not be ready to wait for it.
      return setting.isConstant ? setting.evaluate(scope) : account.then(({ value }) => value);
    },
  };
}

/** The account of a setting; of one that was not compiled just the value. */
export async function explainSetting<T>(setting: Setting<T>, scope: Scope): Promise<SettingAccount<T>> {
  return await setting.explain?.(scope) ?? { value: await setting.evaluate(scope), steps: [], errors: [] };
}

/** Says for people what an account says. Never rejects. */
export async function decisionOf(
  config: Pick<Config, "place">,
  key: string,
  account: Promise<SettingAccount<unknown>>,
): Promise<Decision> {
  try {
    return toDecision(config, key, await account);
  } catch (error) {
    return { key, value: "", by: "program", errors: [error instanceof Error ? error.message : String(error)] };
  }
}

/** What came from the environment or another file may be a secret. */
const NOT_SHOWN = "(not shown: a macro stands here)";

function toDecision({ place }: Pick<Config, "place">, key: string, account: SettingAccount<unknown>): Decision {
  const { steps, errors } = account;
  const decided = steps.findLast(({ met }) => met);
  const found = place(key, decided?.from === "file" ? decided.item : undefined);
  const shown = (text: string) => found?.secret === true ? NOT_SHOWN : text;
  const passed = steps.filter(({ met, condition }) => !met && condition !== undefined)
    .map(({ condition }) => shown(condition ?? ""));
  return {
    key,
    value: shown(valueText(account.value, decided?.gave)),
    by: decided?.from ?? "program",
    ...(found === undefined ? {} : { line: found.line }),
    ...(decided?.item === undefined ? {} : { item: decided.item + 1 }),
    ...(decided?.condition === undefined ? {} : { condition: shown(decided.condition) }),
    ...(decided === undefined ? {} : { result: shown(decided.result) }),
    ...(passed.length === 0 ? {} : { passed }),
    ...(errors.length === 0 ? {} : { errors }),
  };
}

/** Durations, sizes and rates are shown as they were written. */
function valueText(value: unknown, gave: unknown): string {
  const plain = typeof value === "number" && typeof gave === "string" ? gave : value;
  if (typeof plain === "string") return plain === "" ? '""' : plain;
  if (typeof plain === "boolean" || typeof plain === "number") return formatValue(plain);
  if (Array.isArray(plain)) return `[${plain.map((item) => valueText(item, undefined)).join(", ")}]`;
  if (typeof gave === "string") return gave;
  return JSON.stringify(plain) ?? "";
}
