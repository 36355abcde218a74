/**
 * DNSSEC (RFC 4033 to 4035, 5155, 6840): from trusted keys to what an answer is worth. No I/O happens here: what has to
 * be asked on the way is asked through a function.
 *
 * @example
 * ```ts
 * const validator = createValidator({ anchors, ask, now: () => clock.now() });
 * const { security } = await validator.validate({ name: "mx.example.net", type: TYPE.A }, response);
 * ```
 *
 * @module
 */

export { type Anchor, readAnchors, ROOT_ANCHORS } from "./anchor.ts";
export { TYPE } from "./record.ts";
export { BogusError, createValidator, type Validation, type Validator } from "./validator.ts";
