import assert from "node:assert/strict";
import { EVENTS } from "../../../src/telemetry/mod.ts";

Deno.test("event names are area.name in lower case, and each text is one plain phrase", () => {
  for (const [name, { text }] of Object.entries(EVENTS)) {
    assert.match(name, /^[a-z][a-z-]*\.[a-z][a-z0-9-]*$/);
    assert.match(text, /^[A-Zg][A-Za-z0-9 ,:'-]+[a-zA-Z]$/, `${name}: ${text}`);
  }
});
