-- Finds the rows of imported files that wait in quarantine by their file and line, so that a row   (postgres)
-- that was corrected and recorded releases what waits in its place.
CREATE INDEX quarantine_rows ON quarantine (tenant, subject) WHERE face = 'import' AND state = 'open';
