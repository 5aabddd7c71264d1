-- The log: what happened, once, in the order in which it was committed.          (sqlite)

-- One row. Its lock is held by every append until commit, so positions become visible in order.
CREATE TABLE log_head (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    position    INTEGER NOT NULL,
    recorded_at TEXT    NOT NULL,
    log_id      TEXT    NOT NULL
) STRICT;

CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    source         TEXT    NOT NULL,
    event_id       TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    customer_id    TEXT,
    occurred_at    TEXT    NOT NULL,
    recorded_at    TEXT    NOT NULL,
    causation_id   TEXT,
    correlation_id TEXT,
    trace          TEXT,
    attributes     TEXT    NOT NULL,
    incarnation    TEXT,
    sequence       INTEGER,
    fingerprint    BLOB    NOT NULL,
    key_id         TEXT,
    personal       BLOB,
    data           TEXT    NOT NULL
) STRICT;

-- The selective column leads: with the tenant first, planners of young tables pick the wrong index.
-- The last entry of a stream in its index is its version; no table of streams is kept beside it.
CREATE UNIQUE INDEX events_id ON events (event_id, source, tenant);
CREATE UNIQUE INDEX events_stream ON events (stream, tenant, version);
CREATE INDEX events_customer ON events (customer_id, position, tenant) WHERE customer_id IS NOT NULL;

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log refuses UPDATE: correct a fact with an event that voids it'); END;
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log refuses DELETE: correct a fact with an event that voids it'); END;
