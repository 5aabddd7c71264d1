-- Who our customers are, to be listed and found.          (postgres)

CREATE TABLE cards (
    holder        TEXT COLLATE "C" NOT NULL,
    tenant        TEXT COLLATE "C" NOT NULL,
    name_key      TEXT COLLATE "C" NOT NULL,
    tier          TEXT COLLATE "C" NOT NULL,
    owner         TEXT COLLATE "C",
    team          TEXT COLLATE "C",
    last_in_at    TIMESTAMPTZ      NOT NULL,
    last_out_at   TIMESTAMPTZ      NOT NULL,
    arrived_at  TIMESTAMPTZ,
    card          TEXT             NOT NULL,
    PRIMARY KEY (holder, tenant)
);
CREATE INDEX cards_last_in ON cards (tenant, last_in_at, holder);
CREATE INDEX cards_last_out ON cards (tenant, last_out_at, holder);
-- Of whom a fact from the future has come true.
CREATE INDEX cards_arrived ON cards (tenant, arrived_at) WHERE arrived_at IS NOT NULL;
CREATE INDEX cards_name ON cards (tenant, name_key, holder);

-- By what they are found: the words of their names, ids and marks without case and accents, and
-- telephone numbers by their digits.
CREATE TABLE identifiers (
    value_key TEXT COLLATE "C" NOT NULL,
    holder    TEXT COLLATE "C" NOT NULL,
    tenant    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (value_key, holder, tenant)
);
CREATE INDEX identifiers_holder ON identifiers (holder, tenant);
