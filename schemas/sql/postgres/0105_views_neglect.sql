-- Whom we are forgetting: one row per customer and clock, one per obligation.          (postgres)

CREATE TABLE clocks (
    holder           TEXT COLLATE "C" NOT NULL,
    tenant           TEXT COLLATE "C" NOT NULL,
    clock            TEXT COLLATE "C" NOT NULL CHECK (clock IN ('they', 'we')),
    tier             TEXT COLLATE "C" NOT NULL,
    owner            TEXT COLLATE "C",
    team             TEXT COLLATE "C",
    days             BIGINT NOT NULL,
    first            TEXT COLLATE "C" NOT NULL,
    last             TEXT COLLATE "C" NOT NULL,
    rhythm_days      DOUBLE PRECISION NOT NULL,
    warn_at          TIMESTAMPTZ NOT NULL,
    due_at           TIMESTAMPTZ NOT NULL,
    suspended_until  TIMESTAMPTZ,
    effective_due_at TIMESTAMPTZ NOT NULL,
    muted            BOOLEAN NOT NULL,
    resting          BOOLEAN NOT NULL,
    because          TEXT NOT NULL,
    policy_version   BIGINT NOT NULL,
    PRIMARY KEY (holder, clock, tenant)
);
-- Counting how the clocks stand reads these two and no row.
CREATE INDEX clocks_due ON clocks (effective_due_at, holder, clock, tenant, warn_at, due_at, muted, resting)
 WHERE NOT muted AND NOT resting;
CREATE INDEX clocks_stopped ON clocks (tenant, clock, muted, resting) WHERE (muted OR resting);

CREATE TABLE obligations (
    holder     TEXT COLLATE "C" NOT NULL,
    tenant     TEXT COLLATE "C" NOT NULL,
    obligation TEXT COLLATE "C" NOT NULL,
    opened_by  TEXT COLLATE "C" NOT NULL,
    opened_at  TIMESTAMPTZ NOT NULL,
    about      TEXT COLLATE "C",
    due_at     TIMESTAMPTZ,
    warn_at    TIMESTAMPTZ,
    paused     BOOLEAN NOT NULL,
    covered_by TEXT COLLATE "C",
    owner      TEXT COLLATE "C",
    team       TEXT COLLATE "C",
    closed_by  TEXT COLLATE "C",
    closed_at  TIMESTAMPTZ,
    PRIMARY KEY (holder, opened_by, obligation, tenant)
);
CREATE INDEX obligations_due ON obligations (due_at, holder, opened_by, obligation, tenant) WHERE closed_by IS NULL;
