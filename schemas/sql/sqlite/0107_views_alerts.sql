-- What rings, since when, who has it and what stops it.          (sqlite)

CREATE TABLE alerts (
    alert     TEXT    NOT NULL,
    tenant    TEXT    NOT NULL,
    holder    TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    severity  TEXT    NOT NULL,
    band      INTEGER NOT NULL,
    status    TEXT    NOT NULL,
    open      INTEGER NOT NULL CHECK (open IN (0, 1)),
    step      INTEGER NOT NULL,
    raised_at TEXT    NOT NULL,
    due_at    TEXT    NOT NULL,
    fair_at   TEXT    NOT NULL,
    owner     TEXT    NOT NULL,
    team      TEXT    NOT NULL,
    rationed_on TEXT,
    handed_at INTEGER,
    run       INTEGER,
    body      TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (alert, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_holder ON alerts (holder, tenant);
CREATE INDEX alerts_open ON alerts (band, fair_at, due_at, alert, tenant) WHERE open;
CREATE INDEX alerts_handed ON alerts (handed_at, team, tenant) WHERE handed_at IS NOT NULL;
CREATE INDEX alerts_ration ON alerts (rationed_on, team, tenant) WHERE rationed_on IS NOT NULL;
