/** How much of a mail is looked at: enough for any honest report, too little to do harm. */

/** Largest mail that is examined, in octets. Reporters keep to 10 MB and less. */
export const LARGEST_MAIL = 20 * 1024 * 1024;

/** MIME parts, and how deep they lie. */
export const MIME_LIMITS = { parts: 50, depth: 8 };

/** Octets that are unpacked from one mail, all documents together. */
export const MOST_UNPACKED = 64 * 1024 * 1024;

/** An archive may hold this much, and beyond it so many times its own size. Reports pack to a tenth, rarely to a hundredth. */
export const UNPACKED_FREELY = 2 * 1024 * 1024;
export const MOST_RATIO = 250;

/** Archives in archives. */
export const DEEPEST_ARCHIVE = 3;

/** Files of one archive, and documents of one mail. */
export const MOST_FILES = 20;

/** Octets of archives that are fed at once: what comes out of them is a thousand times as much at worst. */
export const INPUT_SLICE = 1024;

/** Octets after which others get their turn. */
export const TURN = 128 * 1024;

/** Largest TLS report, in octets. */
export const LARGEST_JSON = 4 * 1024 * 1024;

/** Octets of a part made of header fields, as in complaints and notifications. */
export const LARGEST_FIELDS = 256 * 1024;

/** Characters of XML without any tag, and elements in elements. */
export const LONGEST_TEXT = 64 * 1024;
export const DEEPEST_XML = 40;

/** Records of a DMARC report that are kept one by one, and failing sources that are told apart. */
export const MOST_RECORDS = 5_000;
export const MOST_SOURCES = 20_000;

/** Characters, as JSON, of records or failures that are kept. */
export const MOST_DETAILS = 4 * 1024 * 1024;

/** Failing sources that are kept. */
export const MOST_FAILING = 1_000;

/** Policies of a TLS report, and failures of one policy. */
export const MOST_POLICIES = 500;
export const MOST_FAILURES = 1_000;

/** Characters of a value, and values in a list. */
export const LONGEST_VALUE = 1_000;
export const MOST_VALUES = 50;

/** Deviations from the format that are told, and those that a document may have at all. */
export const MOST_PROBLEMS = 20;
export const MOST_ERRORS = 1_000;

/** A count in a report that is believed. */
export const LARGEST_COUNT = 1_000_000_000_000;
