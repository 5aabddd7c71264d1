-- Which improvements a customer may be told of: some event behind them is theirs.          (postgres)

CREATE TABLE addressed (
    holder   TEXT COLLATE "C" NOT NULL,
    tenant   TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (holder, position, tenant)
);
CREATE INDEX addressed_at ON addressed (position, tenant, holder);
