/**
 * Messages (RFC 5322): reading and editing headers without disturbing other bytes, and the fields that a transfer
 * agent writes. Everything here is pure.
 *
 * @example
 * ```ts
 * const header = parseHeader(content.head);
 * if (countFields(header, "received") > 50) refuse();
 * const editor = editHeader(content.head, header);
 * editor.prepend(receivedField({ ...options }));
 * const head = editor.result();
 * ```
 *
 * @module
 */

export { type ListedAddress, parseAddressList } from "./address_list.ts";
export type { Content } from "./content.ts";
export { formatDate } from "./date.ts";
export { decodeHeaderText, encodeHeaderText } from "./encoded_word.ts";
export { dateField, deliveredToField, foldField, messageIdField, returnPathField, verbatimField } from "./field.ts";
export {
  countFields,
  fieldsNamed,
  firstField,
  type HeaderField,
  isFieldName,
  MOST_FIELDS,
  type ParsedHeader,
  parseHeader,
} from "./header.ts";
export { editHeader, type HeaderEditor } from "./header_editor.ts";
export { eightBitClean, memoryContent } from "./memory_content.ts";
export { allParts, type MimeLimits, type MimePart, type MimeTree, parseMime } from "./mime.ts";
export { decodeText, decodeTransfer } from "./mime_content.ts";
export { type ParameterizedValue, parseParameterized } from "./mime_header.ts";
export { parseDate, type WrittenDate, zoneOffset } from "./parse_date.ts";
export { quotedPrintable } from "./quoted_printable.ts";
export { isSigned, planSevenBit, type SevenBitPlan, writeSevenBit } from "./seven_bit.ts";
export { encodeTransfer } from "./transfer_encoding.ts";
export { receivedField, type ReceivedOptions, type ReceivedProtocol, receivedProtocol } from "./received.ts";
