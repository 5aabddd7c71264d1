-- Which tier a customer has, why it may change, and whom the customer brought.          (postgres)

-- Dates are text such as 2026-03-16; until a date means up to and not on it.
CREATE TABLE loyalty (
    holder         TEXT COLLATE "C" NOT NULL,
    tenant         TEXT COLLATE "C" NOT NULL,
    tier           TEXT COLLATE "C" NOT NULL CHECK (tier IN ('prospect', 'secondary', 'primary')),
    since          TEXT COLLATE "C",
    lapses_on      TEXT COLLATE "C",
    eligible_on    TEXT COLLATE "C",
    held           BOOLEAN NOT NULL,
    days           BIGINT NOT NULL,
    first          TEXT COLLATE "C",
    last           TEXT COLLATE "C",
    tenure_on      TEXT COLLATE "C",
    count_until    TEXT COLLATE "C",
    almost_until   TEXT COLLATE "C",
    recency_until  TEXT COLLATE "C",
    manual_until   TEXT COLLATE "C",
    value          BIGINT NOT NULL,
    policy_version BIGINT NOT NULL,
    PRIMARY KEY (holder, tenant)
);
CREATE INDEX loyalty_lapses ON loyalty (lapses_on, holder, tenant) WHERE lapses_on IS NOT NULL;

CREATE TABLE loyalty_referrals (
    holder   TEXT COLLATE "C" NOT NULL,
    tenant   TEXT COLLATE "C" NOT NULL,
    referred TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (holder, referred, tenant)
);
