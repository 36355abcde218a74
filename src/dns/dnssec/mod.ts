/**
 * DNSSEC (RFC 4033 to 4035, 5155, 6840): from trusted keys to what an answer is worth. No I/O happens here: what has to
 * be asked on the way is asked through a function.
 *
 * @example
 * ```ts
 * const validator = createValidator({ anchors: () => anchors, ask, now: () => clock.now() });
 * const { security } = await validator.validate({ name: "mx.example.net", type: TYPE.A }, response);
 * ```
 *
 * @module
 */

export { type Anchor, readAnchors, ROOT_ANCHORS } from "./anchor.ts";
export { type FollowedZones, readAnchorFile, writeAnchorFile } from "./anchor_file.ts";
export { isDigestOf, readKey, type ZoneKey } from "./key.ts";
export { TYPE } from "./record.ts";
export {
  afterSeeing,
  type FollowedKey,
  isSameKey,
  isTrustedState,
  type KeyState,
  nextLook,
  nextTry,
  readSeenKeys,
  type SeenKeys,
} from "./rollover.ts";
export { BogusError, createValidator, type Validation, type Validator } from "./validator.ts";
