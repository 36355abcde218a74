/** SCRAM-SHA-256 (RFC 7677) as an AUTH exchange: both sides prove that they know the password. */

import { createHmac, randomBytes } from "node:crypto";
import { reply, scramKeys } from "../smtp/mod.ts";
import { ended, firstResponse, type Mechanism, respond } from "./sasl_exchange.ts";
import { accountWith, secretsOf } from "./sasl_secret.ts";
import { isProof, parseClientFinal, parseClientFirst, serverFinal, serverFirst } from "./scram.ts";

/** RFC 7677 §4: at least this many. */
const ITERATIONS = 4096;

const MALFORMED = reply(501, "5.5.2", "This is no SCRAM-SHA-256 message that this server understands");

/** Salts are made of this and the name, so that a name without an account gets the same one each time, as others do. */
const saltKey = randomBytes(32);

export const scramSha256: Mechanism = {
  checks: "secret",
  exposes: "nothing",
  async run(exchange) {
    const { session, directory } = exchange;
    const opening = await firstResponse(exchange);
    if ("code" in opening) return ended(opening);
    const first = parseClientFirst(opening.text);
    if (first === undefined) return ended(MALFORMED);

    const nonce = first.nonce + randomBytes(18).toString("base64");
    const salt = new Uint8Array(createHmac("sha256", saltKey).update(first.name).digest().subarray(0, 16));
    const challenge = serverFirst(nonce, salt, ITERATIONS);
    const answer = await respond(session, challenge);
    if ("code" in answer) return ended(answer);
    const final = parseClientFinal(answer.text);
    if (final === undefined) return ended(MALFORMED);

    const authMessage = `${first.bare},${challenge},${final.withoutProof}`;
    // RFC 5802 §6: a header that changed on the way would be a downgrade.
    const intact = final.binding === btoa(first.header) && final.nonce === nonce;
    const allowed = first.authorize === "" || first.authorize === first.name;
    let signature: string | undefined;
    for (const secret of await secretsOf(directory, first.name)) {
      const keys = await scramKeys(secret, salt, ITERATIONS);
      if (isProof(final.proof, authMessage, keys)) signature ??= serverFinal(authMessage, keys);
    }
    const proven = signature !== undefined && intact && allowed;
    const result = await accountWith(directory, first.name, proven);
    if (result.kind !== "accepted" || signature === undefined) return result;
    // RFC 4954 §4: SMTP has no place for data beside success, so it is one more challenge with an empty response.
    const farewell = await respond(session, signature);
    return "code" in farewell ? ended(farewell) : result;
  },
};
