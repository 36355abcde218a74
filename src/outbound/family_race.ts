/**
 * Connections to hosts that have addresses of both families (RFC 8305): when one takes long to come about, the next
 * address of the other family is tried beside it, and the one that stands first is used. Only connecting is a race; what
 * settings say of an address, and its place among others, is asked when its turn comes.
 */

import type { Clock } from "../clock/mod.ts";
import { type ClientConnection, ConnectError, type ConnectOptions } from "../net/mod.ts";

/** Opens a connection; `connect` of the net room, or one that takes part in a race. */
export type Connect = (options: ConnectOptions) => Promise<ClientConnection>;

/** An address that may be tried beside another one. */
export interface Rival {
  readonly ip: string;
  readonly localIp: string | undefined;
}

/** The connection to an address did not stand yet when that to its rival did. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
  constructor(readonly winner: string) {
    super(`${winner} answered first`);
  }
}

/** The race between the addresses of one host, in one attempt. */
export interface HostRace {
  /**
   * Connects, if need be against a rival; what has been begun to an address before is used.
   *
   * @throws {Overtaken} (rejects) if the rival came first: its connection waits for its turn
   */
  against(rival: Rival | undefined): Connect;
  /** Closes what was not used. */
  close(): void;
}

/** Races, and how they went. */
export interface FamilyRaces {
  /** The addresses of a host, those last that were overtaken lately. */
  order(ips: readonly string[]): string[];
  isLate(ip: string): boolean;
  begin(connect: Connect): HostRace;
}

/** Milliseconds until the rival starts (RFC 8305 §5: Connection Attempt Delay). */
const HEAD_START = 250;
/** How long it is remembered who was overtaken, in milliseconds, and for how many addresses. */
const MEMORY = 10 * 60_000;
const MOST_LATE = 10_000;

/** Whether there are addresses of both families. */
export function areMixed(ips: readonly string[]): boolean {
  if (ips.length < 2) return false;
  const six = isSix(ips[0] ?? "");
  return ips.some((ip) => isSix(ip) !== six);
}

/** The first address of the other family than `ip` has. */
export function otherFamily(ip: string, ips: readonly string[]): string | undefined {
  return ips.find((other) => isSix(other) !== isSix(ip));
}

const isSix = (ip: string) => ip.includes(":");

/** A connection that was begun before its turn. */
interface Ahead extends Rival {
  readonly connecting: Promise<ClientConnection>;
  readonly control: AbortController;
}

/** Makes the races of a server. */
export function createFamilyRaces(clock: Clock): FamilyRaces {
  const late = new Map<string, number>();

  const isLate = (ip: string) => {
    const until = late.get(ip);
    if (until === undefined) return false;
    if (clock.now() < until) return true;
    late.delete(ip);
    return false;
  };

  const noteLate = (ip: string) => {
    late.delete(ip);
    late.set(ip, clock.now() + MEMORY);
    if (late.size <= MOST_LATE) return;
    for (const oldest of late.keys()) {
      late.delete(oldest);
      break;
    }
  };

  return {
    isLate,
    order(ips) {
      if (late.size === 0 || ips.length < 2) return [...ips];
      return [...ips.filter((ip) => !isLate(ip)), ...ips.filter(isLate)];
    },
    begin(connect) {
      let ahead: Ahead | undefined;

      const drop = ({ connecting, control }: Ahead) => {
        control.abort();
        connecting.then((connection) => connection.close(), () => {});
      };

      const start = (options: ConnectOptions): Ahead => {
        const control = new AbortController();
        const { signal } = options;
        const both = signal === undefined ? control.signal : AbortSignal.any([signal, control.signal]);
        const connecting = connect({ ...options, signal: both });
        connecting.catch(() => {});
        return { ip: options.ip, localIp: options.localIp, connecting, control };
      };

      const isOf = (one: Ahead | undefined, { ip, localIp }: Rival): one is Ahead =>
        one !== undefined && one.ip === ip && one.localIp === localIp;

      const close = () => {
        if (ahead !== undefined) drop(ahead);
        ahead = undefined;
      };

      /** Both are under way: the one that stands first, or the first of the two if neither comes to stand. */
      const settle = async (own: Ahead, rival: Ahead): Promise<ClientConnection> => {
        const first = await Promise.race([
          own.connecting.then(() => own, () => own),
          rival.connecting.then(() => rival, () => own),
        ]);
        if (first === own) {
          const connection = await own.connecting;
          close();
          return connection;
        }
        drop(own);
        noteLate(own.ip);
        throw new Overtaken(rival.ip);
      };

      return {
        against: (rival) => async (options) => {
          if (isOf(ahead, { ip: options.ip, localIp: options.localIp })) {
            const { connecting } = ahead;
            ahead = undefined;
            return await connecting;
          }
          if (rival === undefined || !isOf(ahead, rival)) close();
          if (rival === undefined) return await connect(options);
          const own = start(options);
          if (ahead === undefined) {
            if (await isSettled(own.connecting, clock)) return await own.connecting;
            if (options.signal?.aborted) throw new ConnectError("aborted", "connecting was given up");
            ahead = start({ ...options, ...rival });
          }
          return await settle(own, ahead);
        },
        close,
      };
    },
  };
}

/** Whether a connection has come about, or failed, before its rival starts. */
function isSettled(connecting: Promise<unknown>, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(HEAD_START, () => resolve(false));
    const end = () => {
      timer.cancel();
      resolve(true);
    };
    connecting.then(end, end);
  });
}
