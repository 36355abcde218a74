import type { Migration } from "./migrate.ts";

/**
 * The schema of the program, step by step. A step that was released is never changed: what is new gets a step of its own.
 *
 * Times are milliseconds since the epoch. Ids of messages, content and events grow with time (`MessageId`).
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    statements: [
      // A row is written once and deleted once. `body` is the first part of the content, last in the row so that
      // reading the other columns never touches its pages. `addresses` is a JSON list, null for a single recipient.
      `CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        created INTEGER NOT NULL,
        sender TEXT NOT NULL,
        size INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        source TEXT NOT NULL,
        hold_until INTEGER,
        meta TEXT NOT NULL,
        addresses TEXT,
        blob INTEGER,
        body BLOB NOT NULL
      )`,
      // What does not fit in messages.body, in chunks of at most 512 KB.
      `CREATE TABLE blobs (
        id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        chunk BLOB NOT NULL,
        PRIMARY KEY (id, seq)
      )`,
      // Content that arrives and is not in the queue yet, by node; what a node leaves behind is removed at its next start.
      `CREATE TABLE spills (
        blob INTEGER PRIMARY KEY,
        node INTEGER NOT NULL,
        created INTEGER NOT NULL
      )`,
      // Who still waits. state: 0 queued, 1 claimed by a node, 2 held. due: when the scheduler must look at it; for a
      // claimed one the end of the lease, for a held one the time of holding. flags: 1 cancel, 2 hold at the next outcome.
      `CREATE TABLE recipients (
        message INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        address TEXT NOT NULL,
        queue TEXT NOT NULL,
        state INTEGER NOT NULL,
        due INTEGER NOT NULL,
        owner INTEGER,
        attempt_at INTEGER NOT NULL,
        expires INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        notified INTEGER NOT NULL DEFAULT 0,
        flags INTEGER NOT NULL DEFAULT 0,
        params TEXT,
        last_error TEXT NOT NULL DEFAULT 'none',
        last_status INTEGER NOT NULL DEFAULT 0,
        last_detail TEXT,
        PRIMARY KEY (message, seq)
      ) WITHOUT ROWID`,
      "CREATE INDEX recipients_due ON recipients (queue, state, due)",
      // History, only ever added to. data: on the row that ends a message, what is worth knowing about it (JSON).
      `CREATE TABLE events (
        message INTEGER NOT NULL,
        id INTEGER NOT NULL,
        time INTEGER NOT NULL,
        name TEXT NOT NULL,
        recipient TEXT NOT NULL,
        text TEXT NOT NULL,
        data TEXT,
        PRIMARY KEY (message, id)
      ) WITHOUT ROWID`,
      // Nodes that share the queue. slot is part of every id the node makes; owner stands in the leases of its present
      // run; poke changes when someone asked for something that concerns claimed recipients.
      `CREATE TABLE nodes (
        slot INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        owner INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        poke INTEGER NOT NULL DEFAULT 0
      )`,
    ],
  },
  {
    version: 2,
    statements: [
      // What `key_set` stores; value is JSON.
      "CREATE TABLE lookup_keys (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
      // What `counter_incr` counts.
      "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    ],
  },
  {
    version: 3,
    statements: [
      // How often something happened in the period that began with the first time; `granted` is what the last statement
      // gave, for its RETURNING.
      `CREATE TABLE rates (
        key TEXT PRIMARY KEY,
        ends INTEGER NOT NULL,
        used INTEGER NOT NULL,
        granted INTEGER NOT NULL
      ) WITHOUT ROWID`,
      // How many of something each node has at the moment; void after `until`, which the node moves on.
      `CREATE TABLE slots (
        key TEXT NOT NULL,
        holder TEXT NOT NULL,
        used INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (key, holder)
      ) WITHOUT ROWID`,
      "CREATE INDEX slots_holder ON slots (holder)",
      // Addresses that are shut out. Without `expires` until somebody removes the row.
      `CREATE TABLE bans (
        ip TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER
      ) WITHOUT ROWID`,
    ],
  },
  {
    version: 4,
    statements: [
      // What counts against a quota: a recipient that waits, for one key of one quota. size: of its message.
      `CREATE TABLE quota_uses (
        message INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        quota TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (message, seq, quota)
      ) WITHOUT ROWID`,
      "CREATE INDEX quota_uses_quota ON quota_uses (message, quota)",
      // The sum of quota_uses; a message counts once for a key, until the last of its recipients with that key is gone.
      `CREATE TABLE quota_totals (
        quota TEXT PRIMARY KEY,
        messages INTEGER NOT NULL,
        size INTEGER NOT NULL
      ) WITHOUT ROWID`,
      // What each node counts; done: whether it has looked at everything that was in the queue when it began to.
      `CREATE TABLE quota_nodes (
        node INTEGER NOT NULL,
        counts TEXT NOT NULL,
        done INTEGER NOT NULL,
        PRIMARY KEY (node, counts)
      ) WITHOUT ROWID`,
      `CREATE TRIGGER quota_used AFTER INSERT ON quota_uses WHEN NOT EXISTS (
        SELECT 1 FROM quota_uses WHERE message = new.message AND quota = new.quota AND seq <> new.seq
      ) BEGIN
        INSERT OR IGNORE INTO quota_totals (quota, messages, size) VALUES (new.quota, 0, 0);
        UPDATE quota_totals SET messages = messages + 1, size = size + new.size WHERE quota = new.quota;
      END`,
      `CREATE TRIGGER quota_freed AFTER DELETE ON quota_uses WHEN NOT EXISTS (
        SELECT 1 FROM quota_uses WHERE message = old.message AND quota = old.quota
      ) BEGIN
        UPDATE quota_totals SET messages = messages - 1, size = size - old.size WHERE quota = old.quota;
        DELETE FROM quota_totals WHERE quota = old.quota AND messages <= 0;
      END`,
    ],
  },
  {
    version: 5,
    statements: [
      // Milliseconds that a recipient has longer than its schedule says: time on hold, and attempts that were asked for.
      "ALTER TABLE recipients ADD COLUMN extended INTEGER NOT NULL DEFAULT 0",
      // The schedules and their strategy that this node has seen through on all that waits, as a digest.
      "ALTER TABLE nodes ADD COLUMN scheduling TEXT",
    ],
  },
  {
    version: 6,
    statements: [
      // What was said in the last attempt for a recipient that failed, JSON. Apart from the recipients, and with a rowid,
      // so that several rows share a page.
      `CREATE TABLE dialogues (
        message INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        lines TEXT NOT NULL
      )`,
      "CREATE UNIQUE INDEX dialogues_recipient ON dialogues (message, seq)",
    ],
  },
  {
    version: 7,
    statements: [
      // What scripts have seen (RFC 7352, RFC 5230 §4.2), as digests, and until when it counts.
      "CREATE TABLE sieve_seen (key TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    ],
  },
  {
    version: 8,
    statements: [
      // MTA-STS policies as they were last fetched, one for each domain. id: of the TXT record; policy: its text without
      // what is unknown; refresh: when it is fetched again; used: when mail last asked for it, about to the day.
      `CREATE TABLE sts_policies (
        domain TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        policy TEXT NOT NULL,
        fetched INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        refresh INTEGER NOT NULL,
        used INTEGER NOT NULL
      )`,
      "CREATE INDEX sts_policies_refresh ON sts_policies (refresh)",
      // What TLS reports are made of: sessions by day (since the epoch, UTC), policy domain, policy and result. result: ''
      // if all was well; detail: JSON list of our address, host, its address and words for people, '' if all was well.
      `CREATE TABLE tls_results (
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        policy TEXT NOT NULL,
        result TEXT NOT NULL,
        detail TEXT NOT NULL,
        sessions INTEGER NOT NULL,
        PRIMARY KEY (day, domain, policy, result, detail)
      ) WITHOUT ROWID`,
      // The policies that tls_results names by digest (JSON), and the last day that they were seen.
      "CREATE TABLE tls_result_policies (policy TEXT PRIMARY KEY, content TEXT NOT NULL, day INTEGER NOT NULL)",
    ],
  },
  {
    version: 9,
    statements: [
      // That of the message, so that urgent mail is found whatever else waits. Only such mail is in the index: other
      // mail costs no more than before.
      "ALTER TABLE recipients ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
      "UPDATE recipients SET priority = (SELECT priority FROM messages WHERE id = message) " +
      "WHERE message IN (SELECT id FROM messages WHERE priority <> 0)",
      "CREATE INDEX recipients_urgent ON recipients (queue, state, priority, due) WHERE priority > 0",
    ],
  },
  {
    version: 10,
    statements: [
      // Aggregate reports (kind: dmarc or tls) from their first result until they are done. begins, ends: what one covers;
      // due: when it is made or tried again, or the end of the lease of the node that does so (owner). state: 0 waits,
      // 1 sent, 2 cancelled, 3 given up; only those that wait gather results. about: JSON, such as the policy that was
      // published; handed: JSON list of URIs that have got it; results: how many rows it has in aggregate_results.
      `CREATE TABLE aggregate_reports (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        domain TEXT NOT NULL,
        begins INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        due INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0,
        owner TEXT,
        results INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        first_attempt INTEGER,
        handed TEXT NOT NULL DEFAULT '[]',
        problem TEXT NOT NULL DEFAULT '',
        about TEXT NOT NULL
      )`,
      "CREATE UNIQUE INDEX aggregate_reports_period ON aggregate_reports (kind, domain, begins, ends)",
      "CREATE INDEX aggregate_reports_due ON aggregate_reports (due) WHERE state = 0",
      // What was seen how often; result: JSON list, '' for what a report has no room for.
      `CREATE TABLE aggregate_results (
        report INTEGER NOT NULL,
        result TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (report, result)
      ) WITHOUT ROWID`,
      // The number of rows in aggregate_results, which would take long to count.
      "CREATE TABLE aggregate_size (results INTEGER NOT NULL)",
      "INSERT INTO aggregate_size (results) VALUES (0)",
      `CREATE TRIGGER aggregate_result_added AFTER INSERT ON aggregate_results BEGIN
        UPDATE aggregate_reports SET results = results + 1 WHERE id = new.report;
        UPDATE aggregate_size SET results = results + 1;
      END`,
      `CREATE TRIGGER aggregate_result_dropped AFTER DELETE ON aggregate_results BEGIN
        UPDATE aggregate_size SET results = results - 1;
      END`,
    ],
  },
  {
    version: 11,
    statements: [
      // Reports that others have sent. digest: SHA-256 of the document; day: what it is about, since the epoch, UTC;
      // mail: JSON, how it came; content: JSON, what it says.
      `CREATE TABLE incoming_reports (
        id INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        received INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        day INTEGER NOT NULL,
        reporter TEXT NOT NULL,
        domain TEXT NOT NULL,
        begins INTEGER,
        ends INTEGER,
        passed INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        mail TEXT NOT NULL,
        content TEXT NOT NULL
      )`,
      "CREATE INDEX incoming_reports_expires ON incoming_reports (expires)",
      `CREATE TABLE incoming_report_domains (
        kind TEXT NOT NULL,
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        report INTEGER NOT NULL,
        reporter TEXT NOT NULL,
        passed INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        PRIMARY KEY (kind, day, domain, report)
      ) WITHOUT ROWID`,
      "CREATE INDEX incoming_report_domains_domain ON incoming_report_domains (domain)",
      "CREATE INDEX incoming_report_domains_report ON incoming_report_domains (report)",
      // source: address or host that failed; detail: how it did. In the order that sums by source are made in.
      `CREATE TABLE incoming_report_failures (
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        domain TEXT NOT NULL,
        day INTEGER NOT NULL,
        detail TEXT NOT NULL,
        report INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        PRIMARY KEY (kind, source, domain, day, detail, report)
      ) WITHOUT ROWID`,
      "CREATE INDEX incoming_report_failures_source ON incoming_report_failures (source)",
      "CREATE INDEX incoming_report_failures_report ON incoming_report_failures (report)",
    ],
  },
  {
    version: 12,
    statements: [
      // Results of TLS are gathered with those of DMARC now.
      "DROP TABLE tls_results",
      "DROP TABLE tls_result_policies",
    ],
  },
  {
    version: 13,
    statements: [
      // Certificates from authorities, by a digest of directory and names. chain: '' until the first one; issued: begin of
      // its validity. next, barred: when to look again, and when the authority lets us; owner, until: whose turn it is.
      `CREATE TABLE acme_certificates (
        id TEXT PRIMARY KEY,
        chain TEXT NOT NULL DEFAULT '',
        private_key TEXT NOT NULL DEFAULT '',
        issued INTEGER NOT NULL DEFAULT 0,
        next INTEGER NOT NULL DEFAULT 0,
        barred INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        owner TEXT NOT NULL DEFAULT '',
        until INTEGER NOT NULL DEFAULT 0
      )`,
      // Keys of accounts and of certificates. url: of the account, '' until it is made.
      "CREATE TABLE acme_keys (id TEXT PRIMARY KEY, private_key TEXT NOT NULL, url TEXT NOT NULL)",
      // What proves names at the moment, by kind and token or name.
      "CREATE TABLE acme_proofs (name TEXT PRIMARY KEY, answer TEXT NOT NULL, until INTEGER NOT NULL)",
    ],
  },
];
