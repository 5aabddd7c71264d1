-- Which improvements a customer may be told of: some event behind them is theirs.          (sqlite)

CREATE TABLE addressed (
    holder   TEXT    NOT NULL,
    tenant   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (holder, position, tenant)
) STRICT, WITHOUT ROWID;
CREATE INDEX addressed_at ON addressed (position, tenant, holder);
