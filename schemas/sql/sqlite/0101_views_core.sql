-- What the folds remember, and what they need to know of the log so far.          (sqlite)

CREATE TABLE checkpoints (
    name     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL,
    source   TEXT,
    event_id TEXT,
    epoch    INTEGER NOT NULL,
    detail   TEXT
) STRICT;

-- One row a customer: everything the folds remember, as MessagePack without names.
CREATE TABLE dossiers (
    holder  TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    dossier BLOB NOT NULL,
    PRIMARY KEY (holder, tenant)
) STRICT, WITHOUT ROWID;

-- Which event takes which one back.
CREATE TABLE voids (
    event_id    TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    tenant      TEXT    NOT NULL,
    by_event_id TEXT    NOT NULL,
    by_source   TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    PRIMARY KEY (event_id, source, tenant, position)
) STRICT, WITHOUT ROWID;

-- When which reaction has to look at whom.
CREATE TABLE agenda (
    holder TEXT NOT NULL,
    tenant TEXT NOT NULL,
    queue  TEXT NOT NULL,
    act_at TEXT NOT NULL,
    team   TEXT NOT NULL,
    PRIMARY KEY (holder, queue, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX agenda_due ON agenda (queue, act_at, holder);
CREATE INDEX agenda_ration ON agenda (team, act_at, holder) WHERE queue = 'rationed';

CREATE TABLE parked (
    holder   TEXT    NOT NULL,
    tenant   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    error    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    waiting  INTEGER NOT NULL,
    since    TEXT    NOT NULL,
    skipped  INTEGER NOT NULL CHECK (skipped IN (0, 1)),
    PRIMARY KEY (holder, position, tenant)
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    tenant         TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    effective_from TEXT    NOT NULL,
    body           TEXT    NOT NULL CHECK (json_valid(body)),
    position       INTEGER NOT NULL,
    active         INTEGER NOT NULL CHECK (active IN (0, 1)),
    PRIMARY KEY (position, tenant)
) STRICT, WITHOUT ROWID;
