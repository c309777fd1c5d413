-- The tables of a new database. Times are microseconds since 1970 (UTC), money is nano-dollars.

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO facts VALUES ('key_version', '0');

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    previous_hash TEXT,
    previous_until INTEGER,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    expires_at INTEGER,
    enabled INTEGER NOT NULL,
    revoked_at INTEGER,
    admin INTEGER NOT NULL,
    scopes TEXT NOT NULL,
    limits TEXT NOT NULL,
    budget TEXT,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX keys_previous_hash ON keys (previous_hash) WHERE previous_hash IS NOT NULL;

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    client TEXT NOT NULL,
    route TEXT NOT NULL,
    dialect TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    attempts TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_nano INTEGER NOT NULL,
    price TEXT NOT NULL,
    latency_us INTEGER NOT NULL,
    first_token_us INTEGER,
    revision TEXT NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    partial INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    tags TEXT NOT NULL,
    period TEXT NOT NULL
) STRICT;

CREATE INDEX events_at ON events (at, id);
CREATE INDEX events_key ON events (key_id, at, id);

-- One row for all calls of a day with the same key, model and provider (tag ''), and one for each tag of these.
CREATE TABLE totals (
    day TEXT NOT NULL,
    tag TEXT NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    caller TEXT NOT NULL,
    calls INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    partial INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_nano INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    PRIMARY KEY (day, tag, key_id, model, provider)
) STRICT, WITHOUT ROWID;

CREATE TABLE budgets (
    key_id TEXT NOT NULL,
    period TEXT NOT NULL,
    spent_nano INTEGER NOT NULL,
    reserved_nano INTEGER NOT NULL,
    PRIMARY KEY (key_id, period)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    period TEXT NOT NULL,
    amount_nano INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX reservations_expires ON reservations (expires_at);

-- What was taken from a bucket in a sixtieth of its window.
CREATE TABLE windows (
    bucket TEXT NOT NULL,
    slot INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (bucket, slot)
) STRICT, WITHOUT ROWID;

CREATE INDEX windows_expires ON windows (expires_at);

CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
