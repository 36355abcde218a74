/** The memory for bodies that scripts look into: large ones are read from the store as a whole. */

/** Octets of such bodies at the same time; a larger one is alone. */
const ROOM = 128 * 1024 * 1024;

/** Gives back what was taken. May be called more than once. */
export type Leave = () => void;

/** Makes runs wait for each other when their messages are large. */
export interface BodyRoom {
  enter(octets: number): Promise<Leave>;
}

/** Makes an empty {@link BodyRoom}. */
export function createBodyRoom(size = ROOM): BodyRoom {
  let used = 0;
  const waiting: { readonly octets: number; readonly proceed: () => void }[] = [];

  const fits = (octets: number) => used === 0 || used + octets <= size;
  const take = (octets: number): Leave => {
    used += octets;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      used -= octets;
      // In order of arrival, so that a large one gets its turn too.
      for (let first = waiting[0]; first !== undefined && fits(first.octets); first = waiting[0]) {
        waiting.shift();
        first.proceed();
      }
    };
  };

  return {
    enter(octets) {
      if (waiting.length === 0 && fits(octets)) return Promise.resolve(take(octets));
      return new Promise((resolve) => waiting.push({ octets, proceed: () => resolve(take(octets)) }));
    },
  };
}
