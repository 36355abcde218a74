/** HTML and text. */

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/**
 * The text of an HTML document, roughly: tags, comments, styles and scripts are gone, entities are characters. Takes time
 * in proportion to the length, whatever the document is.
 */
export function htmlText(html: string): string {
  return html
    .replace(/<!--[^]*?(?:-->|$)/g, "")
    .replace(/<(script|style)\b[^]*?(?:<\/\1\s*>|$)/gi, "")
    .split("<").map((piece, index) => index === 0 ? piece : behindTag(piece)).join("")
    .replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
      if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole;
      const point = parseInt(decimal ?? hex, decimal === undefined ? 16 : 10);
      return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : whole;
    });
}

/** What stands behind the tag that a piece of HTML begins with; without its end it was no tag. */
function behindTag(piece: string): string {
  const end = piece.indexOf(">");
  return end < 0 ? `<${piece}` : ` ${piece.slice(end + 1)}`;
}

/** A document that shows a text line by line. */
export function textHtml(text: string): string {
  const escaped = text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const lines = escaped.replace(/\r?\n$/, "").split(/\r?\n/);
  return `<!DOCTYPE html>\r\n<html><body>\r\n${lines.join("<br>\r\n")}\r\n</body></html>\r\n`;
}
