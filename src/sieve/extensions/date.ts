/** `date`, `currentdate` (RFC 5260 §4 and §5), `:index` and `:last` (§6). */

import type { Call, Compiler, Extension, TagDefinition, TestDefinition } from "../definition.ts";
import { formatDate, type HeaderField, parseDate, type WrittenDate, zoneOffset } from "../../message/mod.ts";
import { later } from "../later.ts";
import { SieveRuntimeError } from "../problem.ts";
import type { Run } from "../run.ts";

const digits = (value: number, length = 2) => String(value).padStart(length, "0");

/** RFC 5260 §4.2. `local` is the time in the zone, read in UTC. */
const PARTS: Readonly<Record<string, (local: Date, offset: number) => string>> = {
  year: (local) => digits(local.getUTCFullYear(), 4),
  month: (local) => digits(local.getUTCMonth() + 1),
  day: (local) => digits(local.getUTCDate()),
  date: (local) => local.toISOString().slice(0, 10),
  // The modified Julian day: days since 1858-11-17.
  julian: (local) => String(Math.floor(local.getTime() / 86_400_000) + 40_587),
  hour: (local) => digits(local.getUTCHours()),
  minute: (local) => digits(local.getUTCMinutes()),
  second: (local) => digits(local.getUTCSeconds()),
  time: (local) => local.toISOString().slice(11, 19),
  iso8601: (local, offset) => iso8601(local.getTime() - offset * 60_000, offset),
  std11: (local, offset) => formatDate(local.getTime() - offset * 60_000, offset),
  zone: (_local, offset) => zone(offset, ""),
  weekday: (local) => String(local.getUTCDay()),
};

function zone(offset: number, between: string): string {
  const distance = Math.abs(offset);
  return `${offset < 0 ? "-" : "+"}${digits(Math.floor(distance / 60))}${between}${digits(distance % 60)}`;
}

/** A time as `iso8601` shows it, in a zone so many minutes east of Greenwich. RFC 5260 §4.2: that of none is `Z`. */
export function iso8601(time: number, offset: number): string {
  return `${new Date(time + offset * 60_000).toISOString().slice(0, 19)}${offset === 0 ? "Z" : zone(offset, ":")}`;
}

export const ZONE: TagDefinition = {
  name: "zone",
  group: "time zone",
  value: { name: "time zone", type: "string" },
  check({ text, valueAt }, _call, compiler) {
    if (text.literal !== undefined && !isOffset(text.literal)) {
      compiler.error(valueAt, `'${text.literal}' is not a time zone; it must look like "+0200"`);
    }
  },
};

export function isOffset(text: string): boolean {
  return /^[+-]\d{4}$/.test(text) && zoneOffset(text) !== undefined;
}

type ReadPart = (run: Run, date: WrittenDate) => string;

/** How the date part that a call asks for is read. */
function partReader(call: Call, compiler: Compiler): ReadPart | undefined {
  const part = call.text("date part");
  const find = (name: string) => PARTS[name.toLowerCase()];
  if (part.literal !== undefined && find(part.literal) === undefined) {
    const names = Object.keys(PARTS).join(", ");
    compiler.error(call.position("date part"), `'${part.literal}' is not a part of a date; there are ${names}`);
    return undefined;
  }
  const zoneText = call.tag("zone")?.text;
  const original = call.has("originalzone");
  const offsetOf = (run: Run, date: WrittenDate): number => {
    if (original) return date.offsetMinutes;
    if (zoneText === undefined) return run.host.zoneOffset?.(date.time) ?? 0;
    const wanted = zoneText.read(run);
    if (!isOffset(wanted)) throw new SieveRuntimeError(`'${wanted.slice(0, 80)}' is not a time zone`, call.at);
    return zoneOffset(wanted) ?? 0;
  };
  return (run, date) => {
    const offset = offsetOf(run, date);
    const name = part.read(run);
    const read = find(name);
    if (read === undefined) throw new SieveRuntimeError(`'${name.slice(0, 80)}' is not a part of a date`, call.at);
    return read(new Date(date.time + offset * 60_000), offset);
  };
}

/** RFC 5260 §4: the date stands alone, or behind the last semicolon (Received). */
function dateIn(field: HeaderField): WrittenDate | undefined {
  const value = field.value();
  return parseDate(value.slice(value.lastIndexOf(";") + 1));
}

const dateTest: TestDefinition = {
  name: "date",
  parameters: [
    { name: "header name", type: "string" },
    { name: "date part", type: "string" },
    { name: "key list", type: "strings" },
  ],
  tags: [ZONE, { name: "originalzone", group: "time zone" }],
  tagSets: ["Match"],
  compile(call, compiler) {
    const matcher = compiler.matcher(call, "key list");
    const read = partReader(call, compiler);
    if (matcher === undefined || read === undefined) return undefined;
    const source = compiler.fields(call);
    const choose = compiler.fieldChoice(call);
    const name = call.text("header name");
    return (run) =>
      later(source(run, name.read(run)), (fields) => {
        // RFC 5260 §4: the first field, unless another was chosen; that it holds no date does not bring in the next.
        const [field] = choose === undefined ? fields : choose(fields);
        const date = field === undefined ? undefined : dateIn(field);
        return matcher(run, date === undefined ? [] : [read(run, date)]);
      });
  },
};

const currentdate: TestDefinition = {
  name: "currentdate",
  parameters: [{ name: "date part", type: "string" }, { name: "key list", type: "strings" }],
  tags: [ZONE],
  tagSets: ["Match"],
  compile(call, compiler) {
    const matcher = compiler.matcher(call, "key list");
    const read = partReader(call, compiler);
    if (matcher === undefined || read === undefined) return undefined;
    // RFC 5260 §5: all tests of a run speak of the same moment.
    return (run) => matcher(run, [read(run, { time: run.started, offsetMinutes: 0 })]);
  },
};

const INDEX: TagDefinition = {
  name: "index",
  value: { name: "field number", type: "number" },
  check({ number, valueAt }, _call, compiler) {
    if (number < 1) compiler.error(valueAt, "fields are counted from 1");
  },
  choice({ number }, call) {
    const last = call.has("last");
    return (fields) => {
      const place = last ? fields.length - number : number - 1;
      return place < 0 ? [] : fields.slice(place, place + 1);
    };
  },
};

const LAST: TagDefinition = {
  name: "last",
  check({ at }, call, compiler) {
    if (!call.has("index")) compiler.error(at, `':last' of ${call.title} needs ':index'`);
  },
};

/** RFC 5260 §6 names these; `exists` asks for more than one field, of which there is no second. */
const COUNTING = ["header", "address", "date"];

export const date: readonly Extension[] = [
  { capability: "date", tests: [dateTest, currentdate] },
  { capability: "index", tags: [{ to: COUNTING, tag: INDEX }, { to: COUNTING, tag: LAST }] },
];
