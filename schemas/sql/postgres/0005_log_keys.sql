-- What else a key may say: the venues whose decisions it sends, and whether it may make customers.   (postgres)
ALTER TABLE api_keys ADD COLUMN venues text NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN unknown_customers text NOT NULL DEFAULT 'record'
    CHECK (unknown_customers IN ('record', 'refuse'));
