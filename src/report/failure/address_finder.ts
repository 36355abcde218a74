/** Finding known addresses in text of strangers, in time that grows with the text alone. */

/** Finds addresses, in upper or lower case of ASCII, in the forms `local@domain`, `local=domain` and `local%40domain`. */
export interface AddressFinder {
  /** Makes an address known, in lower case. */
  add(address: { readonly local: string; readonly domain: string }, replacement: string): void;
  /** The text with the local parts of known addresses replaced. */
  readonly replace: (text: string) => string;
}

/** A letter of local parts, which are read from their end. */
interface Letter {
  readonly before: Map<string, Letter>;
  /** What stands for the local part that begins here. */
  replacement?: string;
}

/** What may stand between local part and domain: also as in return paths of lists, and in links. */
const SEPARATOR = /[@=]|%40/g;
const DOMAIN = /\[[^\]\s]{1,100}\]|[a-z0-9\u0080-\uffff._-]{1,255}/y;
/** Longer ones would be looked for in vain: no mailbox has them (RFC 5321 §4.5.3.1.1), also with every octet encoded. */
const LONGEST_LOCAL = 256;
/** Where the domain may end, if more follows: `=example.org-1@lists.example`. */
const DOMAIN_END = /[._-]|$/g;

/** Makes an {@link AddressFinder} that knows no address. */
export function createAddressFinder(): AddressFinder {
  const domains = new Map<string, Letter>();

  /** Known local parts at the first domain that the text at `start` begins with. */
  const localsAt = (lower: string, start: number): Letter | undefined => {
    DOMAIN.lastIndex = start;
    const name = DOMAIN.exec(lower)?.[0];
    if (name === undefined) return undefined;
    if (name.startsWith("[")) return domains.get(name);
    for (const { index } of name.matchAll(DOMAIN_END)) {
      const locals = domains.get(name.slice(0, index));
      if (locals !== undefined) return locals;
    }
    return undefined;
  };

  return {
    add({ local, domain }, replacement) {
      if (local.length > LONGEST_LOCAL) return;
      let letter = entryOf(domains, domain);
      for (let at = local.length - 1; at >= 0; at--) letter = entryOf(letter.before, local.charAt(at));
      letter.replacement ??= replacement;
    },

    replace(text) {
      if (domains.size === 0) return text;
      // Not all letters: positions must stay, and octets that stand for parts of characters.
      const lower = text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
      const out: string[] = [];
      let done = 0;
      for (const { 0: separator, index } of lower.matchAll(SEPARATOR)) {
        const locals = localsAt(lower, index + separator.length);
        if (locals === undefined) continue;
        const found = longestBefore(lower, index, done, locals);
        if (found === undefined) continue;
        out.push(text.slice(done, found.start), found.replacement);
        done = index;
      }
      return done === 0 ? text : out.join("") + text.slice(done);
    },
  };
}

/** The longest of the local parts that ends at `end`. */
function longestBefore(
  text: string,
  end: number,
  least: number,
  locals: Letter,
): { readonly start: number; readonly replacement: string } | undefined {
  let found: { readonly start: number; readonly replacement: string } | undefined;
  let letter = locals;
  for (let start = end - 1; start >= least; start--) {
    const next = letter.before.get(text.charAt(start));
    if (next === undefined) break;
    letter = next;
    if (letter.replacement !== undefined) found = { start, replacement: letter.replacement };
  }
  return found;
}

function entryOf(letters: Map<string, Letter>, key: string): Letter {
  const known = letters.get(key);
  if (known !== undefined) return known;
  const letter: Letter = { before: new Map() };
  letters.set(key, letter);
  return letter;
}
