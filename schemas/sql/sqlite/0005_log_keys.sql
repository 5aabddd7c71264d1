-- What else a key may say: the venues whose decisions it sends, and whether it may make customers.   (sqlite)
ALTER TABLE api_keys ADD COLUMN venues TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(venues));
ALTER TABLE api_keys ADD COLUMN unknown_customers TEXT NOT NULL DEFAULT 'record'
    CHECK (unknown_customers IN ('record', 'refuse'));
