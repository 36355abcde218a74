/** Commands that take an action. */

import type { Action } from "./actions.ts";
import type { Call, Compiler, Extension, Step } from "./definition.ts";
import { type Flow, NEXT, type Run, takeAction } from "./run.ts";

/**
 * Makes the action, lets the tags of the call and the extensions in use add to it, and takes it.
 *
 * @param watchers read when the script runs: extensions may still be loaded behind this command
 */
export function actionStep(
  call: Call,
  make: (run: Run) => Action | Promise<Action>,
  compiler: Compiler,
  watchers: ReadonlySet<Extension>,
): Step {
  const additions = call.tags.flatMap((use) => {
    const addition = use.definition.onAction?.(use, call, compiler);
    return addition === undefined ? [] : [addition];
  });
  const finish = (run: Run, action: Action): Flow => {
    for (const { onAction } of watchers) onAction?.(run, action);
    takeAction(run, action, call.at);
    return NEXT;
  };
  const finishLater = async (run: Run, making: Action | Promise<Action>) => {
    const action = await making;
    for (const add of additions) await add(run, action);
    return finish(run, action);
  };
  return (run) => {
    const action = make(run);
    if (action instanceof Promise) return finishLater(run, action);
    for (const [index, add] of additions.entries()) {
      const added = add(run, action);
      if (added instanceof Promise) {
        return added.then(async () => {
          for (const rest of additions.slice(index + 1)) await rest(run, action);
          return finish(run, action);
        });
      }
    }
    return finish(run, action);
  };
}
