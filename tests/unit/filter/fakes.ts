/** Filters for tests: they note what they are asked, and answer as told. */

import type {
  Filter,
  FilterAnswer,
  FilteredTransaction,
  FilterKind,
  Modification,
  Stage,
  Verdict,
} from "../../../src/filter/mod.ts";

/** What a fake was asked. */
export interface Asked {
  readonly filter: string;
  readonly stage: Stage;
  readonly transaction: FilteredTransaction | undefined;
}

export const ACCEPT: FilterAnswer = { verdict: { kind: "accept" } };

/** A filter that answers by `answers`, and accepts where they say nothing. */
export function fakeFilter(
  kind: FilterKind,
  log: Asked[],
  answers: (stage: Stage, transaction: FilteredTransaction | undefined) => FilterAnswer | undefined = () => undefined,
  options: { readonly id?: string; readonly stages?: readonly Stage[]; readonly enabled?: boolean } = {},
): Filter {
  const id = options.id ?? kind;
  return {
    id,
    kind,
    stages: new Set(options.stages ?? ["connect", "ehlo", "mail", "rcpt", "data"]),
    ...(options.enabled === undefined ? {} : { enabled: () => options.enabled === true }),
    open: () => ({
      judge(stage, transaction) {
        log.push({ filter: id, stage, transaction });
        return Promise.resolve(answers(stage, transaction) ?? ACCEPT);
      },
    }),
  };
}

/** An answer at one stage only. */
export function at(
  stage: Stage,
  verdict: Verdict,
  ...modifications: Modification[]
): (asked: Stage) => FilterAnswer | undefined {
  return (asked) => asked === stage ? { verdict, modifications } : undefined;
}
