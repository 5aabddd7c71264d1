-- What rings, since when, who has it and what stops it.          (postgres)

CREATE TABLE alerts (
    alert     TEXT COLLATE "C" NOT NULL,
    tenant    TEXT COLLATE "C" NOT NULL,
    holder    TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    severity  TEXT COLLATE "C" NOT NULL,
    band      BIGINT NOT NULL,
    status    TEXT COLLATE "C" NOT NULL,
    open      BOOLEAN NOT NULL,
    step      BIGINT NOT NULL,
    raised_at TIMESTAMPTZ NOT NULL,
    due_at    TIMESTAMPTZ NOT NULL,
    fair_at   TIMESTAMPTZ NOT NULL,
    owner     TEXT COLLATE "C" NOT NULL,
    team      TEXT COLLATE "C" NOT NULL,
    rationed_on TEXT COLLATE "C",
    handed_at BIGINT,
    run       BIGINT,
    body      TEXT NOT NULL,
    PRIMARY KEY (alert, tenant)
);
CREATE INDEX alerts_holder ON alerts (holder, tenant);
CREATE INDEX alerts_open ON alerts (band, fair_at, due_at, alert, tenant) WHERE open;
CREATE INDEX alerts_handed ON alerts (handed_at, team, tenant) WHERE handed_at IS NOT NULL;
CREATE INDEX alerts_ration ON alerts (rationed_on, team, tenant) WHERE rationed_on IS NOT NULL;
