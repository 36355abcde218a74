import assert from "node:assert/strict";
import { EVENTS } from "../../../src/telemetry/mod.ts";

Deno.test("event names are area.name in lower case, and each text is one plain phrase", () => {
  for (const [name, { text }] of Object.entries(EVENTS)) {
    assert.match(name, /^[a-z][a-z-]*\.[a-z][a-z0-9-]*$/);
    assert.match(text, /^[A-Zg][A-Za-z0-9 ,:'-]+[a-zA-Z]$/, `${name}: ${text}`);
  }
});

/** Text of all files of `src` but the catalogue itself. */
async function sources(folder = new URL("../../../src/", import.meta.url)): Promise<string> {
  let text = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) text += await sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts") && name !== "event.ts") text += await Deno.readTextFile(new URL(name, folder));
  }
  return text;
}

Deno.test("each event of the catalogue is told somewhere", async () => {
  const text = await sources();
  // Some names are put together: "mta-hook.action-${action}".
  const beginnings = [...text.matchAll(/`([a-z-]+\.[a-z-]+-)\$\{\w+\}`/g)].map(([, beginning]) => beginning ?? "");
  const untold = Object.keys(EVENTS).filter((name) =>
    !text.includes(`"${name}"`) && !beginnings.some((beginning) => name.startsWith(beginning))
  );
  assert.deepEqual(untold, []);
});
