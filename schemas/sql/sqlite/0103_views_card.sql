-- Who our customers are, to be listed and found.          (sqlite)

CREATE TABLE cards (
    holder        TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    name_key      TEXT NOT NULL,
    tier          TEXT NOT NULL,
    owner         TEXT,
    team          TEXT,
    last_in_at    TEXT NOT NULL,
    last_out_at   TEXT NOT NULL,
    arrived_at    TEXT,
    card          TEXT NOT NULL CHECK (json_valid(card)),
    PRIMARY KEY (holder, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX cards_last_in ON cards (tenant, last_in_at, holder);
CREATE INDEX cards_last_out ON cards (tenant, last_out_at, holder);
-- Of whom a fact from the future has come true.
CREATE INDEX cards_arrived ON cards (tenant, arrived_at) WHERE arrived_at IS NOT NULL;
CREATE INDEX cards_name ON cards (tenant, name_key, holder);

-- By what they are found: the words of their names, ids and marks without case and accents, and
-- telephone numbers by their digits.
CREATE TABLE identifiers (
    value_key TEXT NOT NULL,
    holder    TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    PRIMARY KEY (value_key, holder, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_holder ON identifiers (holder, tenant);
