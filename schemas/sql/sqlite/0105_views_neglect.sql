-- Whom we are forgetting: one row per customer and clock, one per obligation.          (sqlite)

CREATE TABLE clocks (
    holder           TEXT    NOT NULL,
    tenant           TEXT    NOT NULL,
    clock            TEXT    NOT NULL CHECK (clock IN ('they', 'we')),
    tier             TEXT    NOT NULL,
    owner            TEXT,
    team             TEXT,
    days             INTEGER NOT NULL,
    first            TEXT    NOT NULL,
    last             TEXT    NOT NULL,
    rhythm_days      REAL    NOT NULL,
    warn_at          TEXT    NOT NULL,
    due_at           TEXT    NOT NULL,
    suspended_until  TEXT,
    effective_due_at TEXT    NOT NULL,
    muted            INTEGER NOT NULL CHECK (muted IN (0, 1)),
    resting          INTEGER NOT NULL CHECK (resting IN (0, 1)),
    because          TEXT    NOT NULL CHECK (json_valid(because)),
    policy_version   INTEGER NOT NULL,
    PRIMARY KEY (holder, clock, tenant)
) STRICT, WITHOUT ROWID;
-- Counting how the clocks stand reads these two and no row.
CREATE INDEX clocks_due ON clocks (effective_due_at, holder, clock, tenant, warn_at, due_at, muted, resting)
 WHERE NOT muted AND NOT resting;
CREATE INDEX clocks_stopped ON clocks (tenant, clock, muted, resting) WHERE (muted OR resting);

CREATE TABLE obligations (
    holder     TEXT    NOT NULL,
    tenant     TEXT    NOT NULL,
    obligation TEXT    NOT NULL,
    opened_by  TEXT    NOT NULL,
    opened_at  TEXT    NOT NULL,
    about      TEXT,
    due_at     TEXT,
    warn_at    TEXT,
    paused     INTEGER NOT NULL CHECK (paused IN (0, 1)),
    covered_by TEXT,
    owner      TEXT,
    team       TEXT,
    closed_by  TEXT,
    closed_at  TEXT,
    PRIMARY KEY (holder, opened_by, obligation, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX obligations_due ON obligations (due_at, holder, opened_by, obligation, tenant) WHERE closed_by IS NULL;
