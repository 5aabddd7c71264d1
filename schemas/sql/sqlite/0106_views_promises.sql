-- What we promised whom by when, and how long answers took.          (sqlite)

CREATE TABLE promises (
    holder       TEXT    NOT NULL,
    promise      TEXT    NOT NULL,
    tenant       TEXT    NOT NULL,
    customer     TEXT,
    recipient    TEXT,
    what         TEXT    NOT NULL,
    owner        TEXT    NOT NULL,
    team         TEXT,
    topic        TEXT,
    about        TEXT,
    made_at      TEXT    NOT NULL,
    warn_at      TEXT    NOT NULL,
    due_at       TEXT    NOT NULL,
    first_due_at TEXT    NOT NULL,
    rounds       INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('open', 'broken', 'late', 'kept', 'released')),
    fulfilled_at TEXT,
    fulfilled_by TEXT,
    beaten       INTEGER NOT NULL CHECK (beaten IN (0, 1)),
    version      INTEGER NOT NULL,
    PRIMARY KEY (holder, promise, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX promises_id ON promises (promise, tenant);
CREATE INDEX promises_due ON promises (due_at, promise, holder, tenant);
CREATE INDEX promises_owed ON promises (due_at) WHERE state IN ('open', 'broken');

CREATE TABLE answers (
    holder      TEXT    NOT NULL,
    inquiry     TEXT    NOT NULL,
    tenant      TEXT    NOT NULL,
    topic       TEXT    NOT NULL,
    answered_at TEXT    NOT NULL,
    minutes     INTEGER NOT NULL,
    PRIMARY KEY (holder, inquiry, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_topic ON answers (topic, answered_at, tenant);
