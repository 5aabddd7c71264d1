-- The log: what happened, once, in the order in which it was committed.          (postgres)

-- One row. Its lock is held by every append until commit, so positions become visible in order.
CREATE TABLE log_head (
    one         SMALLINT PRIMARY KEY CHECK (one = 1),
    position    BIGINT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    log_id      TEXT COLLATE "C" NOT NULL
);

CREATE TABLE events (
    position       BIGINT PRIMARY KEY,
    tenant         TEXT COLLATE "C" NOT NULL,
    stream         TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    source         TEXT COLLATE "C" NOT NULL,
    event_id       TEXT COLLATE "C" NOT NULL,
    type           TEXT COLLATE "C" NOT NULL,
    customer_id    TEXT COLLATE "C",
    occurred_at    TIMESTAMPTZ NOT NULL,
    recorded_at    TIMESTAMPTZ NOT NULL,
    causation_id   TEXT COLLATE "C",
    correlation_id TEXT COLLATE "C",
    trace          TEXT COLLATE "C",
    attributes     TEXT NOT NULL,
    incarnation    TIMESTAMPTZ,
    sequence       BIGINT,
    fingerprint    BYTEA NOT NULL,
    key_id         TEXT COLLATE "C",
    personal       BYTEA,
    data           TEXT NOT NULL
);

-- The selective column leads: with the tenant first, planners of young tables pick the wrong index.
-- The last entry of a stream in its index is its version; no table of streams is kept beside it.
CREATE UNIQUE INDEX events_id ON events (event_id, source, tenant);
CREATE UNIQUE INDEX events_stream ON events (stream, tenant, version);
CREATE INDEX events_customer ON events (customer_id, position, tenant) WHERE customer_id IS NOT NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log refuses %: correct a fact with an event that voids it', TG_OP;
END $$;
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_refuse_delete BEFORE DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
