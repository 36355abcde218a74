/** What name servers, authorities and clients in search of a proof send is a stranger's: it is refused, and soon. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { readMessage } from "../../src/acme/dns_update.ts";
import { problemText, readProblem } from "../../src/acme/problem.ts";
import { signMessage, type TsigKey, verifyResponse } from "../../src/acme/tsig.ts";
import { encodeUpdate } from "../../src/acme/dns_update.ts";
import { challengeCertificate } from "../../src/acme/x509.ts";
import { showProof } from "../../src/net/proof_tls.ts";
import { runs } from "../support/fuzz_runs.ts";

const KEY: TsigKey = { name: "acme", secret: new Uint8Array(32), algorithm: "hmac-sha256" };
const NOW = 1_600_000_000_000;
const update = encodeUpdate(7, "example.net", { kind: "add", name: "a.example.net", value: "v", ttl: 60 });
const request = signMessage(update, KEY, NOW);

/** Octets that are not all noise: a signed message with some of them changed. */
const nearly = fc.tuple(
  fc.nat(request.bytes.length - 1),
  fc.integer({ min: 1, max: 255 }),
  fc.nat(request.bytes.length),
)
  .map(([at, change, length]) => {
    const bytes = request.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ change;
    return bytes.subarray(0, Math.max(length, at + 1));
  });

Deno.test("messages of any octets are read or refused, and none that was changed is believed", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), nearly), (bytes) => {
      try {
        readMessage(bytes);
        assert.equal(verifyResponse(bytes, request.mac, KEY, NOW).kind, "bad");
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }),
    { numRuns: runs(2000) },
  );
});

Deno.test("any JSON is read as a problem, in one line of words", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const problem = readProblem(value);
      assert.equal(typeof problemText(problem), "string");
      assert.ok(JSON.stringify(problem).length > 0);
    }),
    { numRuns: runs(500) },
  );
});

const proof = await challengeCertificate("mx.example.net", "token.thumb", NOW);

Deno.test("whatever a client says after its hello, a proof ends, and is not taken for shown", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      async (rest, pieces, share) => {
        const hello = {
          message: new Uint8Array(60),
          rest,
          sessionId: new Uint8Array(32),
          suites: [0x1301],
          shares: new Map([[0x001d, share]]),
        };
        const left = [...pieces];
        const socket = {
          read(buffer: Uint8Array) {
            const piece = left.shift();
            if (piece !== undefined) buffer.set(piece);
            return Promise.resolve(piece === undefined ? null : piece.length);
          },
          write: () => Promise.resolve(),
        };
        await assert.rejects(showProof(socket, hello, proof));
      },
    ),
    { numRuns: runs(200) },
  );
});
