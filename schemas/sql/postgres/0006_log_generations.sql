-- Since when a build is kept beside the one that replaced it.          (postgres)

ALTER TABLE generations ADD COLUMN since TIMESTAMPTZ;
