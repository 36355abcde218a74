import assert from "node:assert/strict";
import { account } from "../../crash/account.ts";

const accepted = (id: string) => ({ id, answer: "accepted" as const });
const at = (id: string, moment: number) => ({ id, at: moment, whole: true });

Deno.test("an acknowledged message that was never delivered is lost", () => {
  const { lost, accepted: count } = account([accepted("a"), accepted("b")], [at("b", 1)], [], 100);
  assert.deepEqual(lost, ["a"]);
  assert.equal(count, 2);
});

Deno.test("an unanswered message may be delivered or not", () => {
  const sent = [{ id: "a", answer: "unanswered" as const }, { id: "b", answer: "unanswered" as const }];
  const result = account(sent, [at("a", 1)], [2], 100);
  assert.deepEqual([result.lost, result.uncalled], [[], []]);
  assert.equal(result.unansweredDelivered, 1);
});

Deno.test("a refused, an unfinished and an unknown message must not be delivered", () => {
  const sent = [{ id: "a", answer: "refused" as const }, { id: "b", answer: "unfinished" as const }];
  assert.deepEqual(account(sent, [at("a", 1), at("b", 1), at("c", 1)], [], 100).uncalled, ["a", "b", "c"]);
});

Deno.test("a repeat is allowed when a kill came right after the first delivery and before the second", () => {
  const result = account([accepted("a")], [at("a", 1000), at("a", 3000)], [1040], 100);
  assert.deepEqual(result.repeated, []);
  assert.equal(result.allowedRepeats, 1);
  assert.equal(result.longestWindow, 40);
});

Deno.test("a repeat without a kill in between, or long after the first delivery, is an error", () => {
  const sent = [accepted("a"), accepted("b")];
  assert.deepEqual(account(sent, [at("a", 1000), at("a", 1010)], [900, 1020], 100).repeated, ["a"]);
  assert.deepEqual(account(sent, [at("b", 1000), at("b", 3000)], [1200], 100).repeated, ["b"]);
});

Deno.test("three deliveries need two kills", () => {
  const deliveries = [at("a", 1000), at("a", 2000), at("a", 3000)];
  assert.deepEqual(account([accepted("a")], deliveries, [1010, 2010], 100).repeated, []);
  assert.deepEqual(account([accepted("a")], deliveries, [1010], 100).repeated, ["a"]);
});

Deno.test("a message of which some recipients got nothing was torn, whatever the client has heard", () => {
  const sent = ["1-a-0", "1-a-copy", "2-b-0", "2-b-1", "3-c-0"].map((id) => ({ id, answer: "unanswered" as const }));
  const whole = [at("2-b-0", 1), at("2-b-1", 2)];
  assert.deepEqual(account(sent, whole, [3], 100).torn, []);
  assert.deepEqual(account(sent, [...whole, at("1-a-copy", 1)], [3], 100).torn, ["1-a"]);
});
