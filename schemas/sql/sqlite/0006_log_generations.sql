-- Since when a build is kept beside the one that replaced it.          (sqlite)

ALTER TABLE generations ADD COLUMN since TEXT;
