/** What a server loads when it starts: the parts that few have are left out until a configuration or somebody needs them. */

import assert from "node:assert/strict";

const SOURCE = new URL("../../src/", import.meta.url);

const STATIC_IMPORT = /^(?:import|export)\s(?!type\b)(?:([^"';]*?)\sfrom\s+)?"([^"]+)"/gm;

/** Whether an import clause brings nothing but types, and is gone when the program runs. */
function isTypesOnly(clause: string): boolean {
  const names = clause.match(/^\{([^}]*)\}$/)?.[1]?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return names !== undefined && names.every((name) => name.startsWith("type "));
}

/** Files and packages that are loaded together with a file, each with the file that asks for it. */
function loadedWith(entry: string): ReadonlyMap<string, string> {
  const loaded = new Map([[entry, ""]]);
  for (const file of loaded.keys()) {
    if (!file.endsWith(".ts")) continue;
    const text = Deno.readTextFileSync(new URL(file, SOURCE));
    for (const [, clause = "", specifier = ""] of text.matchAll(STATIC_IMPORT)) {
      if (isTypesOnly(clause.trim())) continue;
      const to = specifier.startsWith(".") ? new URL(specifier, `file:///${file}`).pathname.slice(1) : specifier;
      if (!loaded.has(to)) loaded.set(to, file);
    }
  }
  return loaded;
}

const loaded = loadedWith("cli/mod.ts");

Deno.test("what a server is made of is found by its imports", () => {
  for (const part of ["server/server.ts", "queue/scheduler.ts", "config/load.ts", "filter/chain.ts", "commander"]) {
    assert.ok(loaded.has(part), part);
  }
});

for (
  const [part, pattern] of [
    ["no script without one", /^(?:sieve|filter\/sieve)\/(?!memory\.ts)/],
    ["no client of milters or hooks without one", /^filter\/(?:milter|hook)\//],
    ["no explanation until somebody asks", /^server\/explain\//],
    ["nothing for reports of others before the first one", /^(?:report\/analysis\/examine\.ts|saxes|fflate)$/],
    ["no LDAP client without such a directory", /^ldapts$/],
    ["no HTTP over TLS without such a listener", /^(?:http\/tls_ports\.ts|@hono\/node-server)$/],
    ["no metrics without /metrics, no hash functions without passwords", /^(?:prom-client|hash-wasm)$/],
  ] as const
) {
  Deno.test(`a server loads ${part}`, () => {
    const found = [...loaded].filter(([file]) => pattern.test(file)).map(([file, by]) => `${by} imports ${file}`);
    assert.deepEqual(found, []);
  });
}
