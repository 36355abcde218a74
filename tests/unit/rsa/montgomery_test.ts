import assert from "node:assert/strict";
import fc from "fast-check";
import { isPower, type Montgomery, montgomery } from "../../../src/rsa/montgomery.ts";

/** By big integers of the language. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const digit of exponent.toString(2)) {
    result = result * result % modulus;
    if (digit === "1") result = result * base % modulus;
  }
  return result;
}

const lengthOf = (modulus: bigint) => Math.ceil(modulus.toString(2).length / 8);
const octets = (number: bigint, length: number) => Uint8Array.fromHex(number.toString(16).padStart(2 * length, "0"));
const digitsOf = (exponent: bigint) => Array.from(exponent.toString(2).slice(1), (digit) => digit === "1");

function field(modulus: bigint): Montgomery {
  const made = montgomery(modulus);
  assert.ok(made !== undefined, "this machine has no fused multiplication and addition in WebAssembly");
  return made;
}

function assertPower(modulus: bigint, base: bigint, exponent: bigint): void {
  const right = power(base, exponent, modulus);
  const length = lengthOf(modulus);
  const is = (number: bigint) =>
    isPower(field(modulus), octets(base, length), digitsOf(exponent), octets(number, length));
  assert.ok(is(right), `${base} ^ ${exponent} mod ${modulus}`);
  assert.ok(!is((right + 1n) % modulus), `${base} ^ ${exponent} mod ${modulus}`);
}

/** Odd numbers of exactly so many bits; shrinks to rows of zeros. */
const modulusOf = (bits: number) =>
  fc.bigInt(0n, (1n << BigInt(bits - 1)) - 1n).map((low) => (1n << BigInt(bits - 1)) | low | 1n);

for (const bits of [1000, 1024, 1120, 1121, 2047, 2048, 3072, 4095, 4096]) {
  Deno.test(`powers modulo numbers of ${bits} bits are those of big integers`, () => {
    const cases = modulusOf(bits).chain((modulus) =>
      fc.tuple(fc.constant(modulus), fc.bigInt(1n, modulus - 1n), fc.constantFrom(3n, 17n, 65537n, 4294967291n))
    );
    fc.assert(fc.property(cases, ([modulus, base, exponent]) => assertPower(modulus, base, exponent)), { numRuns: 20 });
  });
}

Deno.test("long rows of equal bits, where rounding would go wrong first, give right products", () => {
  const ones = (bits: number) => (1n << BigInt(bits)) - 1n;
  for (const bits of [1024, 2048, 3072, 4096]) {
    const all = ones(bits);
    // Limbs of 51 bits that are full and empty in turns, or hold one bit at either end.
    const turns = (pattern: bigint) => {
      let number = 0n;
      for (let at = 0; at < bits; at += 102) number |= pattern << BigInt(at);
      return number & all;
    };
    const patterns = [all, turns(ones(51)), turns(ones(51) << 51n), turns(1n), turns(1n << 50n), ones(52) << 50n];
    for (const top of patterns) {
      const modulus = top | 1n | (1n << BigInt(bits - 1));
      const bases = [
        ...patterns.map((pattern) => pattern % modulus),
        1n,
        2n,
        modulus - 1n,
        modulus - 2n,
        modulus >> 1n,
      ];
      for (const base of bases) if (base !== 0n) assertPower(modulus, base, 3n);
    }
  }
});

Deno.test("a product that comes out with the modulus in it counts without it", () => {
  // The most that fits: a fourth of the products are more than the modulus at first.
  const modulus = (1n << 1120n) - 3n;
  for (let base = modulus - 40n; base < modulus; base++) assertPower(modulus, base, 3n);
  for (let base = 0n; base < 40n; base++) assertPower(modulus, base, 3n);
});

Deno.test("keys of the same size do not mix up their numbers", () => {
  const [one, other] = [(1n << 2047n) + 981n, (1n << 2047n) + 55n];
  const base = 3n ** 1200n;
  for (let turn = 0; turn < 3; turn++) for (const modulus of [one, other]) assertPower(modulus, base, 65537n);
});

Deno.test("where it would gain nothing, or cannot, there is no field", () => {
  assert.equal(montgomery((1n << 511n) + 1n), undefined);
  assert.equal(montgomery((1n << 4999n) + 1n), undefined);
});
