import assert from "node:assert/strict";
import { smoke } from "../../scripts/smoke.ts";
import { run } from "./server.ts";

const COMPILE = new URL("../../scripts/compile.ts", import.meta.url).pathname;

Deno.test("the single file starts, accepts, survives a kill, delivers and stops", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-single-file-" });
  try {
    const binary = `${folder}/godwit`;
    await run(Deno.execPath(), ["run", "--quiet", "--allow-all", COMPILE, "--output", binary]);
    const steps: string[] = [];
    await smoke({ binary, report: (step) => steps.push(step) });
    assert.equal(steps.at(-1), "stopped cleanly");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
