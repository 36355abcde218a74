import assert from "node:assert/strict";
import { createBodyRoom } from "../../../../src/filter/sieve/body_room.ts";

Deno.test("bodies wait in order until there is room, and one that is larger than all of it is alone", async () => {
  const room = createBodyRoom(100);
  const order: string[] = [];
  const enter = (name: string, octets: number) =>
    room.enter(octets).then((leave) => {
      order.push(name);
      return leave;
    });
  const [a, b] = await Promise.all([enter("a", 60), enter("b", 40)]);
  const large = enter("large", 1000);
  const small = enter("small", 1);
  a();
  a();
  await Promise.resolve();
  assert.deepEqual(order, ["a", "b"]);
  b();
  const leave = await large;
  assert.deepEqual(order, ["a", "b", "large"]);
  leave();
  (await small)();
  assert.deepEqual(order, ["a", "b", "large", "small"]);
});
