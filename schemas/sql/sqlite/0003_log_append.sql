-- Appends one batch: on SQLite the steps are those of `store/src/sqlite.rs`, inside one         (sqlite)
-- BEGIN IMMEDIATE on the only connection that writes; there is nothing to create here.
SELECT 1;
