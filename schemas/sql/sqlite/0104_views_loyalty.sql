-- Which tier a customer has, why it may change, and whom the customer brought.          (sqlite)

-- Dates are text such as 2026-03-16; until a date means up to and not on it.
CREATE TABLE loyalty (
    holder         TEXT    NOT NULL,
    tenant         TEXT    NOT NULL,
    tier           TEXT    NOT NULL CHECK (tier IN ('prospect', 'secondary', 'primary')),
    since          TEXT,
    lapses_on      TEXT,
    eligible_on    TEXT,
    held           INTEGER NOT NULL CHECK (held IN (0, 1)),
    days           INTEGER NOT NULL,
    first          TEXT,
    last           TEXT,
    tenure_on      TEXT,
    count_until    TEXT,
    almost_until   TEXT,
    recency_until  TEXT,
    manual_until   TEXT,
    value          INTEGER NOT NULL,
    policy_version INTEGER NOT NULL,
    PRIMARY KEY (holder, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX loyalty_lapses ON loyalty (lapses_on, holder, tenant) WHERE lapses_on IS NOT NULL;

CREATE TABLE loyalty_referrals (
    holder   TEXT NOT NULL,
    tenant   TEXT NOT NULL,
    referred TEXT NOT NULL,
    PRIMARY KEY (holder, referred, tenant)
) STRICT, WITHOUT ROWID;
