/** Reads dates in messages (RFC 5322 §3.3 and the obsolete forms of §4.3). */

/** A moment, with the zone that it was written in. */
export interface WrittenDate {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Minutes east of Greenwich. */
  readonly offsetMinutes: number;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DATE =
  /^(?:[a-z]{3,9}\.?\s*,?\s*)?(\d{1,2})[\s-]+([a-z]{3})[a-z]*[\s-]+(\d{2,5})\s+(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?\s*([+-]\d{4}|[a-z]{1,5})?/i;
// RFC 5322 §4.3: zones with names; those that are not known are -0000.
const ZONES: Readonly<Record<string, number>> = {
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
};

/** The date at the beginning of `text`; undefined if there is none, or one that no calendar has. */
export function parseDate(text: string): WrittenDate | undefined {
  const match = DATE.exec(text.slice(0, 256).replace(/\([^()]*\)/g, " ").trim());
  if (match === null) return undefined;
  const [, day = "", name = "", yearText = "", hour = "", minute = "", second = "0", zone = "+0000"] = match;
  const month = MONTHS.indexOf(name.toLowerCase());
  const offsetMinutes = zoneOffset(zone);
  if (month < 0 || offsetMinutes === undefined) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const year = fullYear(yearText);
  const local = Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second));
  // The 31st of a short month is in the next one.
  if (new Date(Date.UTC(year, month, Number(day))).getUTCMonth() !== month) return undefined;
  return { time: local - offsetMinutes * 60_000, offsetMinutes };
}

/** Minutes east of Greenwich that `+0200` or a name stands for; undefined if there is no such zone. */
export function zoneOffset(zone: string): number | undefined {
  const [, sign = "", hours = "", minutes = ""] = /^([+-])(\d{2})(\d{2})$/.exec(zone) ?? [];
  if (sign === "") return /^[a-z]+$/i.test(zone) ? ZONES[zone.toLowerCase()] ?? 0 : undefined;
  if (Number(minutes) > 59 || Number(hours) > 23) return undefined;
  const distance = Number(hours) * 60 + Number(minutes);
  return sign === "-" ? -distance : distance;
}

/** RFC 5322 §4.3: years of two and three digits. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 2) return year < 50 ? 2000 + year : 1900 + year;
  return text.length === 3 ? 1900 + year : year;
}
