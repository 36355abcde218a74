/** Names that clients give, made harmless inside LDAP filters and distinguished names. */

/** Puts `value` in place of each `?` of a filter, escaped as RFC 4515 §3 has it. */
export function fillFilter(filter: string, value: string): string {
  const escaped = escapeFilterValue(value);
  return filter.replaceAll("?", () => escaped);
}

/** A value as it may stand in a filter. */
export function escapeFilterValue(value: string): string {
  return value.replaceAll(/[\\*()\0]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Fills `{username}`, `{local}` and `{domain}` of a DN with a login name and its parts. */
export function fillDn(template: string, name: string): string {
  const at = name.lastIndexOf("@");
  const parts: Readonly<Record<string, string>> = {
    username: name,
    local: at < 0 ? name : name.slice(0, at),
    domain: at < 0 ? "" : name.slice(at + 1),
  };
  return template.replaceAll(/\{(username|local|domain)\}/g, (_, part: string) => escapeDnValue(parts[part] ?? ""));
}

/** A value as it may stand in a DN (RFC 4514 §2.4). */
export function escapeDnValue(value: string): string {
  return value
    .replaceAll(/[\\"+,;<>=]/g, (char) => `\\${char}`)
    .replaceAll("\0", "\\00")
    .replace(/^[ #]/, (char) => `\\${char}`)
    .replace(/ $/, "\\ ");
}
