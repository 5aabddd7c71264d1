-- Appends one batch in one round trip.          (postgres)
--
-- (a) locks the head as a statement of its own, so that the next statement sees every earlier commit;
-- (b) one statement looks up ids and stream versions by index, judges each request whole, numbers what
--     is new, writes it, and answers in the order of the input.
-- Rows of one request carry the same `request`; the caller puts an id into a batch once only, and a
-- stream with an expected version into one request of it, so no row has to know of another row's fate but
-- through its request. There an event expects the version after the new events before it; one that is
-- already recorded is a duplicate whatever it expects.
-- Lateral index look-ups and pinned settings: joins of unnested arrays would go quadratic, and with an
-- empty table the planner would choose a scan and keep it. A plan made anew for every batch took longer than
-- a small batch itself, so one plan serves all.
CREATE FUNCTION append_events(
    _now timestamptz, _requests bigint[], _tenants text[], _streams text[], _expected bigint[], _sources text[],
    _event_ids text[], _types text[], _customers text[], _occurred timestamptz[], _causations text[],
    _correlations text[], _traces text[], _attributes text[], _incarnations timestamptz[], _sequences bigint[],
    _fingerprints bytea[], _data text[]
) RETURNS TABLE (outcome text, position_at bigint, stream_of text, version_at bigint, recorded timestamptz)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    _head bigint;
    _recorded timestamptz;
BEGIN
    SELECT position, greatest(recorded_at, _now) INTO STRICT _head, _recorded FROM log_head FOR UPDATE;

    RETURN QUERY
    WITH input AS (
        SELECT i.* FROM unnest(_requests, _tenants, _streams, _expected, _sources, _event_ids, _types, _customers,
                             _occurred, _causations, _correlations, _traces, _attributes, _incarnations,
                             _sequences, _fingerprints, _data)
            WITH ORDINALITY AS i (request, tenant, stream, expected, source, event_id, type, customer_id, occurred_at,
                                  causation_id, correlation_id, trace, attributes, incarnation, sequence,
                                  fingerprint, data, ordinal)
    ), known AS MATERIALIZED (
        SELECT i.*, e.position AS old_position, e.stream AS old_stream, e.version AS old_version,
               e.recorded_at AS old_recorded_at, e.fingerprint AS old_fingerprint,
               coalesce(s.version, 0) AS stream_version
          FROM input i
          LEFT JOIN LATERAL (SELECT e.position, e.stream, e.version, e.recorded_at, e.fingerprint FROM events e
                              WHERE e.event_id = i.event_id AND e.source = i.source AND e.tenant = i.tenant) e ON true
          LEFT JOIN LATERAL (SELECT s.version FROM streams s WHERE s.stream = i.stream
                              AND s.tenant = i.tenant) s ON true
    ), counted AS (
        SELECT k.*, k.stream_version + count(*) FILTER (WHERE k.old_position IS NULL) OVER (
                        PARTITION BY k.request, k.tenant, k.stream ORDER BY k.ordinal
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS actual
          FROM known k
    ), verdicts AS (
        SELECT c.*, CASE WHEN c.old_fingerprint = c.fingerprint THEN 'duplicate'
                         WHEN c.old_position IS NOT NULL THEN 'event_id_conflict'
                         WHEN c.expected <> c.actual THEN 'version_conflict'
                         ELSE 'recorded' END AS verdict
          FROM counted c
    ), judged AS (
        SELECT v.*, v.verdict = 'recorded' AND NOT bool_or(v.verdict IN ('event_id_conflict', 'version_conflict'))
                        OVER (PARTITION BY v.request) AS is_new
          FROM verdicts v
    ), numbered AS MATERIALIZED (
        SELECT j.*,
               _head + sum(CASE WHEN j.is_new THEN 1 ELSE 0 END) OVER (ORDER BY j.ordinal)::bigint AS new_position,
               j.stream_version + sum(CASE WHEN j.is_new THEN 1 ELSE 0 END)
                   OVER (PARTITION BY j.tenant, j.stream ORDER BY j.ordinal)::bigint AS new_version
          FROM judged j
    ), written AS (
        INSERT INTO events (position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
                            recorded_at, causation_id, correlation_id, trace, attributes, incarnation, sequence,
                            fingerprint, data)
        SELECT n.new_position, n.tenant, n.stream, n.new_version, n.source, n.event_id, n.type, n.customer_id,
               n.occurred_at, _recorded, n.causation_id, n.correlation_id, n.trace, n.attributes, n.incarnation,
               n.sequence, n.fingerprint, n.data
          FROM numbered n WHERE n.is_new
    ), moved AS (
        INSERT INTO streams AS s (stream, tenant, version)
        SELECT n.stream, n.tenant, max(n.new_version) FROM numbered n WHERE n.is_new GROUP BY n.stream, n.tenant
        ON CONFLICT (stream, tenant) DO UPDATE SET version = excluded.version
    ), headed AS (
        UPDATE log_head SET position = (SELECT max(n.new_position) FROM numbered n), recorded_at = _recorded
         WHERE EXISTS (SELECT 1 FROM numbered n WHERE n.is_new)
    )
    SELECT CASE WHEN n.is_new THEN 'recorded' WHEN n.verdict = 'recorded' THEN 'refused' ELSE n.verdict END,
           CASE WHEN n.is_new THEN n.new_position ELSE n.old_position END,
           CASE WHEN n.old_position IS NULL THEN n.stream ELSE n.old_stream END,
           CASE WHEN n.is_new THEN n.new_version WHEN n.old_position IS NULL THEN n.stream_version
                ELSE n.old_version END,
           CASE WHEN n.old_position IS NULL THEN _recorded ELSE n.old_recorded_at END
      FROM numbered n ORDER BY n.ordinal;
END $$;
