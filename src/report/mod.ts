/**
 * Reports: what senders, domain owners and administrators are told about mail.
 *
 * @module
 */

export { createDsnBuilder, type DsnBuilder, type DsnOptions } from "./dsn.ts";
