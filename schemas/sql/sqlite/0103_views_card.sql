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
    card          TEXT NOT NULL CHECK (json_valid(card)),
    PRIMARY KEY (holder, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX cards_last_in ON cards (tenant, last_in_at, holder);
CREATE INDEX cards_last_out ON cards (tenant, last_out_at, holder);
CREATE INDEX cards_name ON cards (tenant, name_key, holder);

-- By what they are found: their names from every word on, and their marks, in small letters.
CREATE TABLE identifiers (
    value_key TEXT NOT NULL,
    holder    TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    PRIMARY KEY (value_key, holder, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_holder ON identifiers (holder, tenant);
