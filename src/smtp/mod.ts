/**
 * The protocol itself: commands, replies, addresses, parameters and framing of SMTP and LMTP, for servers and clients.
 * Everything here is pure; bytes come in and go out as values.
 *
 * @example
 * ```ts
 * const result = parseCommand(new TextEncoder().encode("MAIL FROM:<a@example.org> SIZE=1000"));
 * ```
 *
 * @module
 */

export {
  addressDomain,
  addressLocal,
  asciiAddress,
  formatPath,
  isDotString,
  isQuotedString,
  needsSmtpUtf8,
  quoteLocalPart,
  splitAddress,
  unquoteLocalPart,
} from "./address.ts";
export { formatMailCommand, formatRcptCommand } from "./client_command.ts";
export { type Command, type CommandResult, type EsmtpParameter, parseCommand } from "./command.ts";
export { DotDecoder, DotEncoder } from "./data.ts";
export { boundDialogue, type DialogueLine, formatDialogueLine, HIDDEN, replyLines } from "./dialogue.ts";
export {
  domainToAscii,
  domainToUnicode,
  formatAddressLiteral,
  isAddressLiteral,
  isDomain,
  isFqdn,
  parseAddressLiteral,
} from "./domain.ts";
export type {
  BodyType,
  DeliverBy,
  FiledCopy,
  MailParameters,
  Notify,
  OriginalRecipient,
  RcptParameters,
} from "./envelope.ts";
export { NO_EXTENSIONS, parseEhlo, type PeerExtensions, type PeerLimits } from "./extensions.ts";
export { InputBuffer } from "./input.ts";
export { BareNewlineScanner, NewlineNormalizer } from "./newline.ts";
export {
  EVERYTHING_OFFERED,
  isSolicitation,
  type MailParametersResult,
  NOTHING_OFFERED,
  type Offered,
  type RcptParametersResult,
  readMailParameters,
  readRcptParameters,
} from "./parameters.ts";
export { asAddress, parsePath, type PathResult } from "./path.ts";
export { type Reply, reply } from "./reply.ts";
export { formatReply, type ReplyFormat } from "./reply_format.ts";
export { ProtocolError, ReplyParser } from "./reply_parser.ts";
export { saslPrepare, type ScramKeys, scramKeys, scramSignature } from "./scram_keys.ts";
export { xtextDecode, xtextEncode } from "./xtext.ts";
