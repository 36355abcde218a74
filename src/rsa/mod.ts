/**
 * Checking RSA signatures, for mail and for DNS. Nothing here handles a secret.
 *
 * @module
 */

export { readRsaKey, type RsaHash, type RsaPublicKey, verifyRsa } from "./verify.ts";
