-- What we promised whom by when, and how long answers took.          (postgres)

CREATE TABLE promises (
    holder       TEXT COLLATE "C" NOT NULL,
    promise      TEXT COLLATE "C" NOT NULL,
    tenant       TEXT COLLATE "C" NOT NULL,
    customer     TEXT COLLATE "C",
    recipient    TEXT COLLATE "C",
    what         TEXT NOT NULL,
    owner        TEXT COLLATE "C" NOT NULL,
    team         TEXT COLLATE "C",
    topic        TEXT COLLATE "C",
    about        TEXT COLLATE "C",
    made_at      TIMESTAMPTZ NOT NULL,
    warn_at      TIMESTAMPTZ NOT NULL,
    due_at       TIMESTAMPTZ NOT NULL,
    first_due_at TIMESTAMPTZ NOT NULL,
    rounds       BIGINT NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'broken', 'late', 'kept', 'released')),
    fulfilled_at TIMESTAMPTZ,
    fulfilled_by TEXT COLLATE "C",
    beaten       BOOLEAN NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (holder, promise, tenant)
);
CREATE INDEX promises_id ON promises (promise, tenant);
CREATE INDEX promises_due ON promises (due_at, promise, holder, tenant);
CREATE INDEX promises_owed ON promises (due_at) WHERE state IN ('open', 'broken');

CREATE TABLE answers (
    holder      TEXT COLLATE "C" NOT NULL,
    inquiry     TEXT COLLATE "C" NOT NULL,
    tenant      TEXT COLLATE "C" NOT NULL,
    topic       TEXT COLLATE "C" NOT NULL,
    answered_at TIMESTAMPTZ NOT NULL,
    minutes     BIGINT NOT NULL,
    PRIMARY KEY (holder, inquiry, tenant)
);
CREATE INDEX answers_topic ON answers (topic, answered_at, tenant);
