-- What the folds remember, and what they need to know of the log so far.          (postgres)

CREATE TABLE checkpoints (
    name     TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    source   TEXT COLLATE "C",
    event_id TEXT COLLATE "C",
    epoch    BIGINT NOT NULL,
    detail   TEXT
);

-- One row a customer: everything the folds remember, as MessagePack without names.
CREATE TABLE dossiers (
    holder  TEXT COLLATE "C" NOT NULL,
    tenant  TEXT COLLATE "C" NOT NULL,
    dossier BYTEA NOT NULL,
    PRIMARY KEY (holder, tenant)
) WITH (toast_tuple_target = 8160, fillfactor = 70);
-- It is written again with every event: kept in its row and as it is, compressing cost more than writing.
ALTER TABLE dossiers ALTER COLUMN dossier SET STORAGE EXTERNAL;

-- Which event takes which one back.
CREATE TABLE voids (
    event_id    TEXT COLLATE "C" NOT NULL,
    source      TEXT COLLATE "C" NOT NULL,
    tenant      TEXT COLLATE "C" NOT NULL,
    by_event_id TEXT COLLATE "C" NOT NULL,
    by_source   TEXT COLLATE "C" NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (event_id, source, tenant, position)
);

-- When which reaction has to look at whom.
CREATE TABLE agenda (
    holder TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    queue  TEXT COLLATE "C" NOT NULL,
    act_at TIMESTAMPTZ NOT NULL,
    team   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (holder, queue, tenant)
);
CREATE INDEX agenda_due ON agenda (queue, act_at, holder);
CREATE INDEX agenda_ration ON agenda (team, act_at, holder) WHERE queue = 'rationed';

CREATE TABLE parked (
    holder   TEXT COLLATE "C" NOT NULL,
    tenant   TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    error    TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    waiting  BIGINT NOT NULL,
    since    TIMESTAMPTZ NOT NULL,
    skipped  BOOLEAN NOT NULL,
    PRIMARY KEY (holder, position, tenant)
);

CREATE TABLE policies (
    tenant         TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    effective_from TIMESTAMPTZ NOT NULL,
    body           TEXT NOT NULL,
    position       BIGINT NOT NULL,
    active         BOOLEAN NOT NULL,
    PRIMARY KEY (position, tenant)
);
