/**
 * Which definitions of connection and TLS an attempt uses with a host: what two strategies say. Recipients of one job
 * share a transaction as long as they say the same for all of them.
 */

import type { ConnectionConfig, QueueConfig, TlsPolicyConfig } from "../config/config.ts";
import type { Setting } from "../expression/types.ts";
import type { QueuedRecipient } from "../queue/types.ts";
import type { Emit } from "../telemetry/event.ts";
import { type HostScope, lookAt, OF_RECIPIENT } from "./host_scope.ts";
import { sourceAddress } from "./open_session.ts";

/** What was chosen, and for whom. A definition is missing only if not even the built-in one is there. */
export interface HostChoice {
  readonly connection: ConnectionConfig | undefined;
  readonly localIp: string | undefined;
  readonly tls: TlsPolicyConfig | undefined;
  /** Positions of the recipients in the job. */
  readonly positions: readonly number[];
}

/** What choices are made with. */
export interface Choosing {
  readonly config: QueueConfig;
  readonly recipients: readonly QueuedRecipient[];
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
}

/**
 * Chooses for an address of a host.
 *
 * @param scope with `mx` and `remote_ip`; `local_ip` is that of the last choice afterwards
 * @param positions of the recipients, at least one
 * @returns one choice for all, or several that part them
 * @throws {LookupUnavailable} (rejects) if a strategy could not be evaluated
 */
export async function chooseForHost(
  scope: HostScope,
  positions: readonly number[],
  choosing: Choosing,
): Promise<readonly HostChoice[]> {
  const { recipients } = choosing;
  const differing = positions.length > 1 ? differences(positions, choosing) : NOTHING;
  if (differing.length === 0) return [await chooseForAlike(scope, positions, NONE, choosing)];
  const choices: HostChoice[] = [];
  const groups: number[][] = [];
  for (const alike of partition(positions, differing, recipients)) {
    const choice = await chooseForAlike(scope, alike, choices, choosing);
    const same = choices.findIndex(({ connection, tls }) => connection === choice.connection && tls === choice.tls);
    if (same < 0) {
      choices.push(choice);
      groups.push(alike);
    } else {
      for (const position of alike) groups[same]?.push(position);
    }
  }
  return choices;
}

const NOTHING: readonly string[] = [];
const NONE: readonly HostChoice[] = [];

/** Chooses for recipients of which the first stands for all. */
async function chooseForAlike(
  scope: HostScope,
  positions: readonly number[],
  before: readonly HostChoice[],
  { config, recipients, random, emit }: Choosing,
): Promise<HostChoice> {
  const { strategy } = config;
  const one = recipients[positions[0] ?? 0];
  if (one !== undefined && recipients.length > 1) lookAt(scope, one);
  const { variables } = scope;
  variables.local_ip = "";
  const connectionId = strategy.connection.evaluate(scope);
  const connection = definitionOf(
    strategy.connection,
    connectionId instanceof Promise ? await connectionId : connectionId,
    config.connection,
    emit,
  );
  // Those that use the same connection come from the same address.
  const alike = before.find((choice) => choice.connection === connection);
  const localIp = alike === undefined
    ? sourceAddress(connection, String(variables.remote_ip ?? ""), random)
    : alike.localIp;
  variables.local_ip = localIp ?? "";
  const tlsId = strategy.tls.evaluate(scope);
  const tls = definitionOf(strategy.tls, tlsId instanceof Promise ? await tlsId : tlsId, config.tls, emit);
  return { connection, localIp, tls, positions };
}

/** The definition that a strategy names; an unknown name means the built-in one. */
function definitionOf<T>(
  { key }: Setting<string>,
  id: string,
  definitions: ReadonlyMap<string, T>,
  emit: Emit,
): T | undefined {
  const definition = definitions.get(id);
  if (definition !== undefined) return definition;
  emit("smtp.id-not-found", { key, id });
  return definitions.get("default");
}

/** The variables in which the recipients differ, of those that the strategies read. */
function differences(positions: readonly number[], { config, recipients }: Choosing): readonly string[] {
  const differing: string[] = [];
  const [first] = positions;
  const model = recipients[first ?? 0];
  if (model === undefined) return differing;
  for (const { isConstant, reads } of [config.strategy.connection, config.strategy.tls]) {
    if (isConstant) continue;
    for (const name of reads ?? OF_RECIPIENT.keys()) {
      const valueOf = OF_RECIPIENT.get(name);
      if (valueOf === undefined || differing.includes(name)) continue;
      const value = valueOf(model);
      for (const position of positions) {
        const other = recipients[position];
        if (other === undefined || valueOf(other) === value) continue;
        differing.push(name);
        break;
      }
    }
  }
  return differing;
}

/** The recipients by their values of some variables. */
function partition(
  positions: readonly number[],
  names: readonly string[],
  recipients: readonly QueuedRecipient[],
): Iterable<number[]> {
  const parts = new Map<string, number[]>();
  for (const position of positions) {
    const recipient = recipients[position];
    if (recipient === undefined) continue;
    const key = JSON.stringify(names.map((name) => OF_RECIPIENT.get(name)?.(recipient)));
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [position]);
    else part.push(position);
  }
  return parts.values();
}
