/**
 * Multiplication modulo an odd number of thousands of bits, in WebAssembly (Montgomery, "Modular multiplication without
 * trial division", Mathematics of Computation 44, 1985).
 *
 * Numbers are cut into limbs of 51 bits, which stand in floating-point numbers: a processor multiplies two pairs of them
 * in one step, where whole numbers go one by one. A product p of two limbs has 102 bits. The fused sum 2^103 + p is
 * rounded to a multiple of 2^51, so the last bits of its representation are the upper half h of the product; and
 * p - 2^51 h, which lies between -2^50 and 2^50, is exact. With 3 * 2^51 added to it, it stands in the last bits of its
 * representation too. Halves of products are then summed up as whole numbers of 64 bits, which up to 2^12 of them fit.
 *
 * The instruction is the "relaxed" one, which may round twice where a processor has no fused one. What it does here is
 * tried out before anybody relies on it.
 */

/** Bits of a limb. */
const LIMB = 51;
const LIMB_MASK = (1n << 51n) - 1n;

/** What computing with one modulus needs. */
export interface Montgomery {
  /** Limbs of the numbers computed with. */
  readonly limbs: number;
  /** The modulus in limbs, 2^(2 * 51 * limbs) modulo it, and the negative inverse of its lowest limb. */
  readonly constants: Float64Array;
}

/** Numbers of limbs that there is code for: they hold 1024, 2048, 3072 and 4096 bits, with some to spare. */
const SIZES = [22, 42, 62, 82] as const;

/** With fewer bits the big integers of the language are as fast. */
const LEAST_BITS = 1000;

interface Machine {
  readonly limbs: number;
  readonly octets: Uint8Array;
  readonly words: Float64Array;
  readonly places: Places;
  /** Cuts the number at `places.octets` into limbs and writes them to `target`. */
  cut(target: number): void;
  /** x = x * (the number at `factor`) / 2^(51 * limbs) */
  multiply(factor: number): void;
  /** Whose constants are there. */
  owner: Montgomery | undefined;
}

/** `undefined` where the processor, or the runtime, cannot do it. */
const machines = new Map<number, Machine | undefined>();

/**
 * Prepares for computing with a modulus.
 *
 * @param modulus odd, of at most 4096 bits
 * @returns `undefined` if this machine cannot, or would gain nothing
 */
export function montgomery(modulus: bigint): Montgomery | undefined {
  const bits = bitLength(modulus);
  const limbs = SIZES.find((size) => bits + 2 <= size * LIMB);
  const machine = bits < LEAST_BITS || limbs === undefined ? undefined : machineFor(limbs);
  return machine === undefined ? undefined : prepare(modulus, machine);
}

/** Binary digits of a number above 0. */
export function bitLength(number: bigint): number {
  const digits = number.toString(16);
  return digits.length * 4 - Math.clz32(parseInt(digits.charAt(0), 16)) + 28;
}

function prepare(modulus: bigint, machine: Machine): Montgomery {
  const { limbs, places, words } = machine;
  const constants = new Float64Array(2 * limbs + 1);
  const numbers = [modulus, (1n << BigInt(2 * LIMB * limbs)) % modulus];
  for (const [index, number] of numbers.entries()) {
    writeNumber(machine, octetsOf(number, Math.ceil(limbs * LIMB / 8)));
    machine.cut(places.factor);
    constants.set(words.subarray(places.factor / 8, places.factor / 8 + limbs), index * limbs);
  }
  // Newton's iteration doubles the bits that are right: 3, 6, 12, 24, 48, 96.
  const lowest = BigInt.asUintN(LIMB, modulus);
  let inverse = lowest;
  for (let i = 0; i < 5; i++) inverse = BigInt.asUintN(LIMB, inverse * (2n - lowest * inverse));
  new BigUint64Array(constants.buffer)[2 * limbs] = BigInt.asUintN(LIMB, -inverse);
  return { limbs, constants };
}

function octetsOf(number: bigint, length: number): Uint8Array {
  return Uint8Array.fromHex(number.toString(16).padStart(2 * length, "0"));
}

/**
 * Whether `base` to the power of an odd exponent is `expected`, modulo `field`.
 *
 * @param base less than the modulus, and as long; octets, the most significant first
 * @param exponentDigits binary digits of the exponent behind the first one, which is 1
 * @param expected less than the modulus, and as long as `base`
 */
export function isPower(
  field: Montgomery,
  base: Uint8Array,
  exponentDigits: readonly boolean[],
  expected: Uint8Array,
): boolean {
  const machine = machineFor(field.limbs);
  if (machine === undefined) throw new TypeError("this machine cannot compute in this way");
  const { places, words } = machine;
  if (machine.owner !== field) {
    words.set(field.constants.subarray(0, field.limbs), places.modulus / 8);
    words.set(field.constants.subarray(field.limbs, 2 * field.limbs), places.square / 8);
    words.set(field.constants.subarray(2 * field.limbs), places.inverse / 8);
    machine.owner = field;
  }
  writeNumber(machine, base);
  machine.cut(places.base);
  machine.cut(places.x);
  // Into the form that products stay in, which have a factor of 2^(51 * limbs).
  machine.multiply(places.square);
  words.copyWithin(places.factor / 8, places.x / 8, places.x / 8 + field.limbs);
  const last = exponentDigits.length - 1;
  for (let i = 0; i <= last; i++) {
    machine.multiply(places.x);
    // The last digit is 1, and a factor that is not in that form takes the product out of it.
    if (i === last) machine.multiply(places.base);
    else if (exponentDigits[i]) machine.multiply(places.factor);
  }
  reduce(machine, field.limbs);
  writeNumber(machine, expected);
  machine.cut(places.factor);
  const [x, y] = [places.x / 8, places.factor / 8];
  for (let i = 0; i < field.limbs; i++) if (words[x + i] !== words[y + i]) return false;
  return true;
}

/** Products are less than twice the modulus; this makes x less than it. */
function reduce({ words, places }: Machine, limbs: number): void {
  const [x, modulus] = [places.x / 8, places.modulus / 8];
  let top = limbs - 1;
  while (top > 0 && words[x + top] === words[modulus + top]) top--;
  if ((words[x + top] as number) < (words[modulus + top] as number)) return;
  let borrow = 0;
  for (let i = 0; i < limbs; i++) {
    const limb = (words[x + i] as number) - (words[modulus + i] as number) - borrow;
    borrow = limb < 0 ? 1 : 0;
    words[x + i] = limb + borrow * 2 ** LIMB;
  }
}

function writeNumber({ octets, places }: Machine, number: Uint8Array): void {
  const { start, end } = places.octets;
  octets.set(number, start);
  octets.subarray(start, start + number.length).reverse();
  octets.fill(0, start + number.length, end);
}

function machineFor(limbs: number): Machine | undefined {
  if (!machines.has(limbs)) machines.set(limbs, makeMachine(limbs));
  return machines.get(limbs);
}

function makeMachine(limbs: number): Machine | undefined {
  try {
    const places = placesFor(limbs);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleFor(limbs, places)));
    const { memory, cut, multiply } = exports as unknown as Pick<Machine, "cut" | "multiply"> & {
      readonly memory: WebAssembly.Memory;
    };
    const octets = new Uint8Array(memory.buffer);
    const words = new Float64Array(memory.buffer);
    const machine: Machine = { limbs, octets, words, places, cut, multiply, owner: undefined };
    startSums(new BigUint64Array(memory.buffer), places, limbs);
    // Found out by using it: no flag tells whether sums are rounded once.
    machines.set(limbs, machine);
    return isRight(machine) ? machine : undefined;
  } catch {
    return undefined;
  }
}

function isRight(machine: Machine): boolean {
  const bits = LIMB * machine.limbs - 2;
  const modulus = (1n << BigInt(bits)) - 0x1234_5678_9abc_def1n;
  const field = prepare(modulus, machine);
  const octets = (number: bigint) => octetsOf(number, Math.ceil(bits / 8));
  // One number with long rows of equal bits, and one without.
  return [modulus - 2n, (modulus / 7n) * 3n].every((base) =>
    isPower(field, octets(base), [false, true], octets(base ** 5n % modulus))
  );
}

/** Where things stand in the memory of the module, in octets. */
interface Places {
  readonly inverse: number;
  readonly modulus: number;
  readonly square: number;
  readonly base: number;
  readonly factor: number;
  readonly x: number;
  readonly low: number;
  readonly high: number;
  /** What the sums begin with: less by what is added to them for the sake of rounding. */
  readonly lowStart: number;
  readonly highStart: number;
  readonly octets: { readonly start: number; readonly end: number };
}

function placesFor(limbs: number): Places {
  // One limb more on each side of a number is read, which is 0: as many octets as there are in two pairs.
  const room = 8 * limbs + 32;
  const at = (index: number) => 64 + index * room;
  return {
    inverse: 16,
    modulus: at(0) + 16,
    square: at(1) + 16,
    base: at(2) + 16,
    factor: at(3) + 16,
    x: at(4) + 16,
    low: at(5),
    high: at(6),
    lowStart: at(7),
    highStart: at(8),
    octets: { start: at(9), end: at(10) },
  };
}

/** A pair is met by four products in each round until it has become the lowest one and is dropped. */
function startSums(words: BigUint64Array, { lowStart, highStart }: Places, limbs: number): void {
  for (let i = 0; i < limbs; i++) {
    const products = 4n * BigInt((i >> 1) + 1);
    words[lowStart / 8 + i] = BigInt.asUintN(64, -products * LOW_BITS);
    words[highStart / 8 + i] = BigInt.asUintN(64, -products * HIGH_BITS);
  }
}

/** Bits of what is added before rounding: 2^103, and of 3 * 2^51. */
const HIGH_BITS = 0x4660_0000_0000_0000n;
const LOW_BITS = 0x4338_0000_0000_0000n;

// The instructions that are needed, as they are encoded (WebAssembly Core Specification 3.0, §5.4).
type Code = readonly number[];

const unsigned = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
const signed = (value: bigint): number[] => {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  return (rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40) ? [low] : [low | 0x80, ...signed(rest)];
};
const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const tee = (local: number): Code => [0x22, local];
const i32 = (value: number): Code => [0x41, ...signed(BigInt(value))];
const i64 = (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))];
const v128 = (half: bigint): Code => [0xfd, 12, ...new Uint8Array(BigUint64Array.of(half, half).buffer)];
const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b];
const loadI64 = (offset: number): Code => [0x29, 0, ...unsigned(offset)];
const storeF64 = (offset: number): Code => [0x39, 0, ...unsigned(offset)];
const loadPair = (offset: number): Code => [0xfd, 0, 0, ...unsigned(offset)];
const loadTwice = (offset: number): Code => [0xfd, 10, 0, ...unsigned(offset)];
const storePair = (offset: number): Code => [0xfd, 11, 0, ...unsigned(offset)];
const lane = (index: number): Code => [0xfd, 29, index];
const replaceLane = (index: number): Code => [0xfd, 30, index];
const LESS = [0x49];
const ADD = [0x6a];
const MULTIPLY = [0x6c];
const AND = [0x71];
const SHIFT = [0x76];
const I64_ADD = [0x7c];
const I64_MULTIPLY = [0x7e];
const I64_AND = [0x83];
const I64_SHIFT_SIGNED = [0x87];
const I64_SHIFT = [0x88];
const I64_EXTEND = [0xad];
const F64_CONVERT = [0xb9];
const F64X2_SPLAT = [0xfd, 20];
const I64X2_ADD = [0xfd, 0xce, 1];
const F64X2_SUBTRACT = [0xfd, 0xf1, 1];
const F64X2_FUSED = [0xfd, 0x87, 2];

const LIMB_BITS = i64(LIMB_MASK);

function moduleFor(limbs: number, places: Places): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content];
  const list = (...items: Code[]): Code => [...unsigned(items.length), ...items.flat()];
  const name = (text: string): Code => [...unsigned(text.length), ...new TextEncoder().encode(text)];
  const body = (locals: Code, code: Code): Code => {
    const all = [...locals, ...code, 0x0b];
    return [...unsigned(all.length), ...all];
  };
  const [I32, I64, V128] = [0x7f, 0x7e, 0x7b];
  const pages = Math.ceil(places.octets.end / 65_536);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([0x60, 1, I32, 0])),
    ...section(3, list([0], [0])),
    ...section(5, list([0, pages])),
    ...section(7, list([...name("memory"), 2, 0], [...name("cut"), 0, 0], [...name("multiply"), 0, 1])),
    ...section(
      10,
      list(
        body(list([2, I32]), cutCode(limbs, places)),
        body(list([1, I32], [18, V128], [2, I64]), multiplyCode(limbs, places)),
      ),
    ),
  ]);
}

function cutCode(limbs: number, { octets }: Places): Code {
  const [TARGET, INDEX, BIT] = [0, 1, 2];
  return [
    ...i32(0),
    ...set(INDEX),
    ...loop(
      [...get(TARGET), ...get(INDEX), ...i32(8), ...MULTIPLY, ...ADD],
      [...get(INDEX), ...i32(LIMB), ...MULTIPLY, ...tee(BIT), ...i32(3), ...SHIFT, ...loadI64(octets.start)],
      // 51 bits, and seven before them at most.
      [...get(BIT), ...i32(7), ...AND, ...I64_EXTEND, ...I64_SHIFT, ...LIMB_BITS, ...I64_AND],
      [...F64_CONVERT, ...storeF64(0)],
      [...get(INDEX), ...i32(1), ...ADD, ...tee(INDEX), ...i32(limbs), ...LESS],
    ),
  ];
}

/**
 * Two limbs of the factor at a time: their products with x are added to the sums, and as much of the modulus that the
 * last two limbs of the sums become 0 and can be dropped. Everything but the limbs of the factor stands at addresses that
 * are known, so the engine need not ask for each whether it is in the memory.
 *
 * What each round needs of the modulus comes out of a long chain of instructions, each of which waits for the one before
 * it. So that chain of the next round runs beside the products of this one, in three pieces.
 */
function multiplyCode(limbs: number, places: Places): Code {
  const { x, modulus, low, high, lowStart, highStart, inverse } = places;
  const [FACTOR, ROW] = [0, 1];
  // A, B: limbs of the factor, each in both lanes; P, Q: what they need of the modulus.
  const [A, B, P, Q, LOW, HIGH, PAIR, H, C, D] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11] as const;
  const [NEXT_A, NEXT_B, NEXT_P, NEXT_Q, NEXT_LOW, NEXT_HIGH, TOP_LOW, TOP_HIGH] = [
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
  ] as const;
  const [CARRY, T] = [20, 21];
  const rounds = limbs / 2;
  const bitsOf = (number: number) => new BigUint64Array(Float64Array.of(number).buffer)[0] as bigint;
  const at = (...code: Code[]): Code => code.flat();
  const here = (load: Code): Code => [...i32(0), ...load];
  /** Adds the products of the pair at an address with `limb` to two sums. */
  const addProducts = (limb: number, pair: number, lows = LOW as number, highs = HIGH as number): Code => [
    ...[...here(loadPair(pair)), ...set(PAIR)],
    ...[...get(limb), ...get(PAIR), ...get(C), ...F64X2_FUSED, ...tee(H), ...get(highs), ...I64X2_ADD, ...set(highs)],
    ...[...get(limb), ...get(PAIR), ...get(D), ...get(H), ...F64X2_SUBTRACT, ...F64X2_FUSED],
    ...[...get(lows), ...I64X2_ADD, ...set(lows)],
  ];
  /** What times the modulus makes the lowest limb of a number, which is on the stack, 0. */
  const quotient = (target: number): Code => [
    ...[...LIMB_BITS, ...I64_AND, ...here(loadI64(inverse)), ...I64_MULTIPLY, ...LIMB_BITS, ...I64_AND],
    ...[...F64_CONVERT, ...F64X2_SPLAT, ...set(target)],
  ];
  /** The second limb of the sums, with what the first one carries. */
  const second = at(get(NEXT_LOW), lane(1), get(NEXT_HIGH), lane(0), I64_ADD, get(CARRY), I64_ADD);
  const carried = at(i64(BigInt(LIMB)), I64_SHIFT_SIGNED);

  /** The lowest pair of a round, which gives P, Q and what the pair carries. */
  const lowest: readonly Code[] = [
    [
      ...[...get(FACTOR), ...get(ROW), ...ADD, ...loadTwice(0), ...set(NEXT_A)],
      ...[...get(FACTOR), ...get(ROW), ...ADD, ...loadTwice(8), ...set(NEXT_B)],
      ...[...here(loadPair(low)), ...set(NEXT_LOW), ...here(loadPair(high)), ...set(NEXT_HIGH)],
      ...addProducts(NEXT_A, x, NEXT_LOW, NEXT_HIGH),
      ...[...get(NEXT_LOW), ...lane(0), ...quotient(NEXT_P)],
      // The second limb of the factor counts for one place more: it meets the limbs of x one place before.
      ...addProducts(NEXT_B, x - 8, NEXT_LOW, NEXT_HIGH),
    ],
    [
      ...addProducts(NEXT_P, modulus, NEXT_LOW, NEXT_HIGH),
      // The lowest limb misses what the fourth product is going to add for the sake of rounding.
      ...[...get(NEXT_LOW), ...lane(0), ...i64(LOW_BITS), ...I64_ADD, ...carried, ...set(CARRY)],
      ...[...second, ...quotient(NEXT_Q)],
    ],
    [
      ...addProducts(NEXT_Q, modulus - 8, NEXT_LOW, NEXT_HIGH),
      ...[...second, ...carried, ...get(NEXT_HIGH), ...lane(1), ...I64_ADD, ...set(T)],
    ],
  ];
  const goOn = [[A, NEXT_A], [B, NEXT_B], [P, NEXT_P], [Q, NEXT_Q]] as const;
  const takeOver = goOn.flatMap(([now, next]) => [...get(next), ...set(now)]);
  /** Where the pieces of the next round stand: the first as soon as its pair is complete. */
  const third = Math.floor(rounds / 3);
  const others = Array.from({ length: rounds }, (_, index): Code => {
    const offset = 16 * (index + 1);
    const top = index === rounds - 1;
    return [
      ...(top ? get(TOP_LOW) : here(loadPair(low + offset))),
      // What the pair before carries.
      ...(index === 0 ? [...v128(0n), ...get(T), ...replaceLane(0), ...I64X2_ADD] : []),
      ...set(LOW),
      ...(top ? get(TOP_HIGH) : here(loadPair(high + offset))),
      ...set(HIGH),
      ...addProducts(A, x + offset),
      ...addProducts(P, modulus + offset),
      ...addProducts(B, x + offset - 8),
      ...addProducts(Q, modulus + offset - 8),
      // One place down.
      ...[...i32(0), ...get(LOW), ...storePair(low + offset - 16)],
      ...[...i32(0), ...get(HIGH), ...storePair(high + offset - 16)],
      ...(index === 0 ? [...get(ROW), ...i32(16), ...ADD, ...set(ROW)] : []),
      ...(index % third === 0 ? lowest[index / third] ?? [] : []),
    ];
  });
  const start = Array.from({ length: rounds }, (_, index): Code => [
    ...[...i32(0), ...here(loadPair(lowStart + 16 * index)), ...storePair(low + 16 * index)],
    ...[...i32(0), ...here(loadPair(highStart + 16 * index)), ...storePair(high + 16 * index)],
  ]);
  /** The sums as limbs again. */
  const carryOver = Array.from({ length: limbs }, (_, index): Code => [
    ...[...i32(0), ...here(loadI64(low + 8 * index))],
    ...(index === 0 ? [] : [...here(loadI64(high + 8 * index - 8)), ...I64_ADD, ...get(CARRY), ...I64_ADD]),
    ...[...tee(T), ...LIMB_BITS, ...I64_AND, ...F64_CONVERT, ...storeF64(x + 8 * index)],
    ...[...get(T), ...carried, ...set(CARRY)],
  ]);
  return [
    ...[...v128(bitsOf(2 ** 103)), ...set(C), ...v128(bitsOf(2 ** 103 + 3 * 2 ** 51)), ...set(D)],
    // A pair that comes in at the top is met by four products in each round that is left.
    ...[...v128(BigInt.asUintN(64, -4n * BigInt(rounds) * LOW_BITS)), ...set(TOP_LOW)],
    ...[...v128(BigInt.asUintN(64, -4n * BigInt(rounds) * HIGH_BITS)), ...set(TOP_HIGH)],
    ...start.flat(),
    ...lowest.flat(),
    ...loop(
      takeOver,
      // The last round begins another one, in vain: behind the factor stand zeros.
      ...others,
      [...get(TOP_LOW), ...v128(BigInt.asUintN(64, 4n * LOW_BITS)), ...I64X2_ADD, ...set(TOP_LOW)],
      [...get(TOP_HIGH), ...v128(BigInt.asUintN(64, 4n * HIGH_BITS)), ...I64X2_ADD, ...set(TOP_HIGH)],
      [...get(ROW), ...i32(8 * limbs), ...LESS],
    ),
    ...carryOver.flat(),
  ];
}
