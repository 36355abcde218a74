/** Dates in messages (RFC 5322 §3.3). */

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * A date-time such as `Mon, 05 Jan 2026 12:00:00 +0000`.
 *
 * @param time milliseconds since the epoch
 * @param offsetMinutes the zone, east of Greenwich positive
 */
export function formatDate(time: number, offsetMinutes = 0): string {
  const local = new Date(time + offsetMinutes * 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  const distance = Math.abs(offsetMinutes);
  const zone = `${offsetMinutes < 0 ? "-" : "+"}${two(Math.floor(distance / 60))}${two(distance % 60)}`;
  const year = String(local.getUTCFullYear()).padStart(4, "0");
  return `${DAYS[local.getUTCDay()]}, ${two(local.getUTCDate())} ${MONTHS[local.getUTCMonth()]} ${year} ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ${zone}`;
}
