-- Everything that happened with somebody: one row per event, without its data.          (postgres)

-- The data stays in the log, at `position`; here is what cannot be read off it, and what lists ask by.
CREATE TABLE timeline (
    holder       TEXT COLLATE "C" NOT NULL,
    occurred_at  TIMESTAMPTZ      NOT NULL,
    position     BIGINT           NOT NULL,
    tenant       TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    topic        TEXT COLLATE "C" NOT NULL,
    phase        TEXT COLLATE "C" NOT NULL,
    direction    TEXT COLLATE "C" NOT NULL,
    channel      TEXT COLLATE "C",
    actor        TEXT COLLATE "C" NOT NULL,
    actorkind    TEXT COLLATE "C" NOT NULL,
    about        TEXT COLLATE "C",
    venue        TEXT COLLATE "C",
    visit        TEXT COLLATE "C",
    booking      TEXT COLLATE "C",
    out_of_order BOOLEAN          NOT NULL,
    dangling     BOOLEAN          NOT NULL,
    voided_by    TEXT COLLATE "C",
    PRIMARY KEY (holder, occurred_at, position, tenant)
);
