-- Everything that happened with somebody: one row per event, without its data.          (sqlite)

-- The data stays in the log, at `position`; here is what cannot be read off it, and what lists ask by.
CREATE TABLE timeline (
    holder       TEXT    NOT NULL,
    occurred_at  TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    tenant       TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    phase        TEXT    NOT NULL,
    direction    TEXT    NOT NULL,
    channel      TEXT,
    actor        TEXT    NOT NULL,
    actorkind    TEXT    NOT NULL,
    about        TEXT,
    venue        TEXT,
    visit        TEXT,
    booking      TEXT,
    out_of_order INTEGER NOT NULL CHECK (out_of_order IN (0, 1)),
    dangling     INTEGER NOT NULL CHECK (dangling IN (0, 1)),
    voided_by    TEXT,
    PRIMARY KEY (holder, occurred_at, position, tenant)
) STRICT, WITHOUT ROWID;
