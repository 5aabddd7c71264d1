-- What stands around the log: who reads it, who may send, what could not be understood.   (sqlite)

-- How far a reader of the log has got, and which event it saw there.
CREATE TABLE checkpoints (
    name     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL,
    source   TEXT,
    event_id TEXT,
    epoch    INTEGER NOT NULL,
    detail   TEXT
) STRICT;

-- Which instance runs what only one may run.
CREATE TABLE leases (
    name       TEXT    PRIMARY KEY,
    holder     TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    expires_at TEXT    NOT NULL
) STRICT;

CREATE TABLE quarantine (
    quarantine_id TEXT    PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    code          TEXT    NOT NULL,
    problem       TEXT    NOT NULL CHECK (json_valid(problem)),
    face          TEXT    NOT NULL,
    subject       TEXT,
    incarnation   TEXT,
    sequence      INTEGER,
    received_at   TEXT    NOT NULL,
    source        TEXT,
    event_id      TEXT,
    headers       TEXT    NOT NULL CHECK (json_valid(headers)),
    size          INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    bytes         BLOB,
    state         TEXT    NOT NULL CHECK (state IN ('open', 'released', 'discarded')),
    position      INTEGER,
    note          TEXT
) STRICT;
CREATE INDEX quarantine_list ON quarantine (received_at, quarantine_id, tenant);
CREATE INDEX quarantine_event ON quarantine (event_id, source, tenant) WHERE event_id IS NOT NULL;

CREATE TABLE tenants (
    tenant          TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    zone            TEXT NOT NULL,
    language        TEXT NOT NULL,
    fingerprint_key BLOB NOT NULL,
    created_at      TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
    key_id     TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    scopes     TEXT NOT NULL CHECK (json_valid(scopes)),
    sources    TEXT NOT NULL CHECK (json_valid(sources)),
    actor      TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
) STRICT;

-- What a command with an idempotency key was answered.
CREATE TABLE commands (
    operation   TEXT NOT NULL,
    key         TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    request     BLOB NOT NULL,
    status      INTEGER,
    answer      TEXT,
    started_at  TEXT NOT NULL,
    PRIMARY KEY (key, operation, tenant)
) STRICT, WITHOUT ROWID;

-- Which build of the read models is the one that answers.
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY,
    state      TEXT    NOT NULL CHECK (state IN ('building', 'live', 'previous', 'retired', 'failed')),
    created_at TEXT    NOT NULL
) STRICT;
