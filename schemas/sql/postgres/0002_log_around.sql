-- What stands around the log: who reads it, who may send, what could not be understood.   (postgres)

-- How far a reader of the log has got, and which event it saw there.
CREATE TABLE checkpoints (
    name     TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    source   TEXT COLLATE "C",
    event_id TEXT COLLATE "C",
    epoch    BIGINT NOT NULL,
    detail   TEXT
);

-- Which instance runs what only one may run.
CREATE TABLE leases (
    name       TEXT COLLATE "C" PRIMARY KEY,
    holder     TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE quarantine (
    quarantine_id TEXT COLLATE "C" PRIMARY KEY,
    tenant        TEXT COLLATE "C" NOT NULL,
    code          TEXT COLLATE "C" NOT NULL,
    problem       TEXT NOT NULL,
    face          TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C",
    incarnation   TIMESTAMPTZ,
    sequence      BIGINT,
    received_at   TIMESTAMPTZ NOT NULL,
    source        TEXT COLLATE "C",
    event_id      TEXT COLLATE "C",
    headers       TEXT NOT NULL,
    size          BIGINT NOT NULL,
    sha256        TEXT COLLATE "C" NOT NULL,
    bytes         BYTEA,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'released', 'discarded')),
    position      BIGINT,
    note          TEXT COLLATE "C"
);
CREATE INDEX quarantine_list ON quarantine (received_at, quarantine_id, tenant);
CREATE INDEX quarantine_event ON quarantine (event_id, source, tenant) WHERE event_id IS NOT NULL;

CREATE TABLE tenants (
    tenant          TEXT COLLATE "C" PRIMARY KEY,
    name            TEXT COLLATE "C" NOT NULL,
    zone            TEXT COLLATE "C" NOT NULL,
    language        TEXT COLLATE "C" NOT NULL,
    fingerprint_key BYTEA NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL
);

CREATE TABLE api_keys (
    key_id     TEXT COLLATE "C" PRIMARY KEY,
    tenant     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    hash       BYTEA NOT NULL,
    scopes     TEXT NOT NULL,
    sources    TEXT NOT NULL,
    actor      TEXT COLLATE "C",
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);

-- What a command with an idempotency key was answered.
CREATE TABLE commands (
    operation   TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    tenant      TEXT COLLATE "C" NOT NULL,
    request     BYTEA NOT NULL,
    status      BIGINT,
    answer      TEXT,
    started_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (key, operation, tenant)
);

-- Which build of the read models is the one that answers.
CREATE TABLE generations (
    generation BIGINT PRIMARY KEY,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('building', 'live', 'previous', 'retired', 'failed')),
    created_at TIMESTAMPTZ NOT NULL
);
