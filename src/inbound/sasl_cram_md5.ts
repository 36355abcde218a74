/** CRAM-MD5 (RFC 2195): the password is proven by a keyed digest of a challenge. */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { reply } from "../smtp/mod.ts";
import { ended, type Mechanism, respond } from "./sasl_exchange.ts";
import { accountWith, secretsOf } from "./sasl_secret.ts";

export const cramMd5: Mechanism = {
  checks: "secret",
  exposes: "nothing",
  serverFirst: true,
  async run({ session, directory }) {
    const { clock, hostname } = session.deps;
    const challenge = `<${randomBytes(12).toString("hex")}.${clock.now()}@${hostname}>`;
    const response = await respond(session, challenge);
    if ("code" in response) return ended(response);
    const [, name, digest] = /^(.+) ([0-9a-f]{32})$/is.exec(response.text) ?? [];
    if (name === undefined || digest === undefined) {
      return ended(reply(501, "5.5.2", "CRAM-MD5 takes user name, blank, digest in hexadecimal"));
    }
    const given = new TextEncoder().encode(digest.toLowerCase());
    let proven = false;
    // Each secret is tried, so that time does not tell which one it was.
    for (const secret of await secretsOf(directory, name)) {
      const wanted = new TextEncoder().encode(cramMd5Digest(secret, challenge));
      proven = timingSafeEqual(wanted, given) || proven;
    }
    return await accountWith(directory, name, proven);
  },
};

/** The digest that proves knowledge of `secret` (RFC 2195 §2), in lower-case hexadecimal. */
export function cramMd5Digest(secret: string, challenge: string): string {
  return createHmac("md5", secret).update(challenge).digest("hex");
}
