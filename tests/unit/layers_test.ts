/** The layer rule, held against the import graph of `src/` as it is. */

import assert from "node:assert/strict";

const SOURCE = new URL("../../src/", import.meta.url);

/** Rooms that do no I/O and import nothing that does. */
const PURE_ROOMS = ["smtp", "message", "expression", "sieve", "rsa"];

/** What a pure room may import from outside: computation only. */
const PURE_PACKAGES = ["re2js", "ipaddr.js", "node:crypto", "node:buffer", "node:url"];

/** Globals that reach the world. */
const WORLD = /\b(?:Deno\.|fetch\(|new (?:Worker|WebSocket|EventSource)\(|process\.|localStorage)/;

/** Files beside `mod.ts` that other rooms may import: contracts between rooms, kept apart from their implementation. */
const SEAMS = [
  "authentication/types.ts",
  "config/config.ts",
  "directory/directory.ts",
  "dns/resolver.ts",
  "expression/types.ts",
  "message/content.ts",
  "net/connection.ts",
  "queue/types.ts",
  "smtp/envelope.ts",
  "smtp/reply.ts",
  "store/types.ts",
  "telemetry/event.ts",
];

/** Rooms that put the others together. Nobody else may import them. */
const COMPOSERS = ["cli", "server"];

interface Import {
  /** Importing file, relative to `src/`. */
  readonly from: string;
  /** Imported file relative to `src/`, or the specifier of a package. */
  readonly to: string;
}

const STATIC_IMPORT = /^(?:import|export)\s(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;
const DYNAMIC_IMPORT = /\bimport\("([^"]+)"\)/g;
const WORKER = /new URL\("([^"]+\.ts)", import\.meta\.url\)/g;

async function sourceFiles(folder: URL, prefix = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = prefix + entry.name;
    if (entry.isDirectory) files.push(...await sourceFiles(new URL(`${entry.name}/`, folder), `${path}/`));
    else if (entry.name.endsWith(".ts")) files.push(path);
  }
  return files.sort();
}

/** Where a specifier leads, seen from a file. */
function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

async function readImports(): Promise<Import[]> {
  const imports: Import[] = [];
  for (const from of await sourceFiles(SOURCE)) {
    const text = await Deno.readTextFile(new URL(from, SOURCE));
    for (const pattern of [STATIC_IMPORT, DYNAMIC_IMPORT, WORKER]) {
      for (const match of text.matchAll(pattern)) imports.push({ from, to: resolve(from, match[1]!) });
    }
  }
  return imports;
}

const roomOf = (file: string) => file.slice(0, file.indexOf("/"));
const isOurs = (file: string) => file.includes("/") && file.endsWith(".ts");
const imports = await readImports();
const between = imports.filter(({ from, to }) => isOurs(to) && roomOf(from) !== roomOf(to));
const show = ({ from, to }: Import) => `${from} imports ${to}`;

/** One cycle of a graph, as its nodes in order, or an empty list. */
function findCycle(edges: readonly (readonly [string, string])[]): string[] {
  const next = new Map<string, string[]>();
  for (const [from, to] of edges) next.set(from, [...next.get(from) ?? [], to]);
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return [];
    path.push(node);
    for (const target of next.get(node) ?? []) {
      const cycle = visit(target);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(node);
    return [];
  };
  for (const node of next.keys()) {
    const cycle = visit(node);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

Deno.test("the import graph is read: every relative import leads to a file", async () => {
  const files = new Set(await sourceFiles(SOURCE));
  assert.ok(imports.length > 50);
  assert.deepEqual(imports.filter(({ to }) => isOurs(to) && !to.startsWith("@") && !files.has(to)).map(show), []);
});

Deno.test("a cycle in a graph is found, and only a cycle", () => {
  assert.deepEqual(findCycle([["a", "b"], ["b", "c"], ["c", "b"]]), ["b", "c", "b"]);
  assert.deepEqual(findCycle([["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"]]), []);
});

Deno.test("pure rooms import only pure rooms and packages that compute", () => {
  const offending = imports.filter(({ from, to }) =>
    PURE_ROOMS.includes(roomOf(from)) && (isOurs(to) ? !PURE_ROOMS.includes(roomOf(to)) : !PURE_PACKAGES.includes(to))
  );
  assert.deepEqual(offending.map(show), []);
});

Deno.test("pure rooms touch no global that reaches the world", async () => {
  const offending: string[] = [];
  for (const file of (await sourceFiles(SOURCE)).filter((path) => PURE_ROOMS.includes(roomOf(path)))) {
    const text = await Deno.readTextFile(new URL(file, SOURCE));
    const code = text.replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
    const found = code.match(WORLD);
    if (found !== null) offending.push(`${file} uses ${found[0]}`);
  }
  assert.deepEqual(offending, []);
});

Deno.test("inbound and outbound do not know each other", () => {
  const pair = ["inbound", "outbound"];
  assert.deepEqual(between.filter(({ from, to }) => pair.includes(roomOf(from)) && pair.includes(roomOf(to))), []);
});

Deno.test("only cli imports server, and only the entry point imports cli", () => {
  const offending = between.filter(({ from, to }) =>
    COMPOSERS.includes(roomOf(to)) && !(roomOf(from) === "cli" && roomOf(to) === "server")
  );
  assert.deepEqual(offending.map(show), []);
});

Deno.test("a room is entered through its mod.ts or one of its seams", () => {
  const offending = between.filter(({ to }) => to !== `${roomOf(to)}/mod.ts` && !SEAMS.includes(to));
  assert.deepEqual(offending.map(show), []);
});

Deno.test("rooms do not import each other in a circle", () => {
  assert.deepEqual(findCycle(between.map(({ from, to }) => [roomOf(from), roomOf(to)])), []);
});

Deno.test("files do not import each other in a circle", () => {
  assert.deepEqual(findCycle(imports.filter(({ to }) => isOurs(to)).map(({ from, to }) => [from, to])), []);
});
