-- Appends one batch in one round trip.          (postgres)
--
-- (a) locks the head as a statement of its own, so that the next statement sees every earlier commit;
-- (b) where nobody expects a version and no id is known, which is nearly always, nothing has to be judged:
--     one statement numbers, writes and answers;
-- (c) otherwise looks up by index which ids are known and where the streams stand, each stream once,
-- (d) judges and numbers row by row; a request is recorded whole or not at all, so one that meets a conflict
--     gives its numbers back,
-- (e) writes what is new with one statement and answers in the order of the input.
-- Rows of one request stand together and carry the same `request`; `_slots` says which of the `_streams` an
-- event belongs to, `_places` the how manieth of its stream it is. The caller puts an id into a batch once only, and a stream with an expected version into
-- one request of it, so no row has to know of another row's fate but through its request. There an event
-- expects the version after the new events before it; one that is already recorded is a duplicate whatever
-- it expects. Arrays that are read by subscript hold no NULL: -1 expects nothing.
-- Index look-ups by pinned settings: joins of unnested arrays would go quadratic, and with an empty table
-- the planner would choose a scan and keep it. A plan made anew for every batch took longer than a small
-- batch itself, so one plan serves all.
CREATE FUNCTION append_events(
    _now timestamptz, _streams text[], _stream_tenants text[], _requests bigint[], _slots int[],
    _places int[], _expected bigint[], _row_streams text[], _tenants text[], _sources text[], _event_ids text[], _types text[],
    _customers text[], _occurred timestamptz[], _causations text[], _correlations text[], _traces text[],
    _attributes text[], _incarnations timestamptz[], _sequences bigint[], _fingerprints bytea[], _data text[]
) RETURNS TABLE (outcome text, position_at bigint, stream_of text, version_at bigint, recorded timestamptz)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    _count int := cardinality(_requests);
    _head bigint;
    _recorded timestamptz;
    _stream_heads bigint[];                                       -- by slot
    _known bigint[];                                              -- by row: 0 is new, below 0 other content
    _positions bigint[] := array_fill(0::bigint, ARRAY[_count]);  -- by row: 0 is refused, -1 conflicts
    _versions bigint[] := array_fill(0::bigint, ARRAY[_count]);
    _slot int;
    _first int;
    _is_refused boolean;
BEGIN
    SELECT position, greatest(recorded_at, _now) INTO STRICT _head, _recorded FROM log_head FOR UPDATE;

    IF -1 = ALL (_expected) AND NOT EXISTS (
        SELECT FROM unnest(_event_ids, _sources, _tenants) AS i (event_id, source, tenant)
          JOIN events e ON e.event_id = i.event_id AND e.source = i.source AND e.tenant = i.tenant)
    THEN
        RETURN QUERY
        WITH new AS (
            INSERT INTO events (position, tenant, stream, version, source, event_id, type, customer_id,
                                occurred_at, recorded_at, causation_id, correlation_id, trace, attributes,
                                incarnation, sequence, fingerprint, data)
            SELECT _head + n.ordinal, n.tenant, n.stream, coalesce(s.version, 0) + n.place, n.source, n.event_id,
                   n.type, n.customer_id, n.occurred_at, _recorded, n.causation_id, n.correlation_id, n.trace,
                   n.attributes, n.incarnation, n.sequence, n.fingerprint, n.data
              FROM unnest(_places, _row_streams, _tenants, _sources, _event_ids, _types, _customers, _occurred,
                          _causations, _correlations, _traces, _attributes, _incarnations, _sequences,
                          _fingerprints, _data) WITH ORDINALITY
                   AS n (place, stream, tenant, source, event_id, type, customer_id, occurred_at, causation_id,
                         correlation_id, trace, attributes, incarnation, sequence, fingerprint, data, ordinal)
              LEFT JOIN LATERAL (SELECT e.version FROM events e WHERE e.stream = n.stream AND e.tenant = n.tenant
                                  ORDER BY e.version DESC LIMIT 1) s ON true
            RETURNING position, version)
        SELECT 'recorded', new.position, NULL::text, new.version, _recorded FROM new ORDER BY new.position;
        UPDATE log_head SET position = _head + _count, recorded_at = _recorded;
        RETURN;
    END IF;

    SELECT array_agg(coalesce(e.version, 0) ORDER BY i.ordinal) INTO _stream_heads
      FROM unnest(_streams, _stream_tenants) WITH ORDINALITY AS i (stream, tenant, ordinal)
      LEFT JOIN LATERAL (SELECT e.version FROM events e WHERE e.stream = i.stream AND e.tenant = i.tenant
                          ORDER BY e.version DESC LIMIT 1) e ON true;
    SELECT array_agg(CASE WHEN e.fingerprint = i.fingerprint THEN e.position ELSE coalesce(-e.position, 0) END
                     ORDER BY i.ordinal) INTO _known
      FROM unnest(_event_ids, _sources, _tenants, _fingerprints)
           WITH ORDINALITY AS i (event_id, source, tenant, fingerprint, ordinal)
      LEFT JOIN events e ON e.event_id = i.event_id AND e.source = i.source AND e.tenant = i.tenant;

    FOR _row IN 1 .. _count LOOP
        IF _row = 1 OR _requests[_row] <> _requests[_row - 1] THEN
            _first := _row;
            _is_refused := false;
        END IF;
        IF _known[_row] = 0 THEN
            _slot := _slots[_row];
            IF _expected[_row] <> -1 AND _expected[_row] <> _stream_heads[_slot] THEN
                _positions[_row] := -1;
                _is_refused := true;
            ELSE
                _head := _head + 1;
                _positions[_row] := _head;
            END IF;
            _stream_heads[_slot] := _stream_heads[_slot] + 1;
            _versions[_row] := _stream_heads[_slot];
        ELSIF _known[_row] < 0 THEN
            _is_refused := true;
        END IF;
        IF _is_refused AND (_row = _count OR _requests[_row] <> _requests[_row + 1]) THEN
            FOR _back IN _first .. _row LOOP
                IF _known[_back] = 0 THEN
                    _stream_heads[_slots[_back]] := _stream_heads[_slots[_back]] - 1;
                END IF;
                IF _positions[_back] > 0 THEN
                    _positions[_back] := 0;
                    _head := _head - 1;
                END IF;
            END LOOP;
        END IF;
    END LOOP;

    INSERT INTO events (position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
                        recorded_at, causation_id, correlation_id, trace, attributes, incarnation, sequence,
                        fingerprint, data)
    SELECT n.position, n.tenant, n.stream, n.version, n.source, n.event_id, n.type, n.customer_id, n.occurred_at,
           _recorded, n.causation_id, n.correlation_id, n.trace, n.attributes, n.incarnation, n.sequence,
           n.fingerprint, n.data
      FROM unnest(_positions, _versions, _row_streams, _tenants, _sources, _event_ids, _types, _customers,
                  _occurred, _causations, _correlations, _traces, _attributes, _incarnations, _sequences,
                  _fingerprints, _data)
           AS n (position, version, stream, tenant, source, event_id, type, customer_id, occurred_at,
                 causation_id, correlation_id, trace, attributes, incarnation, sequence, fingerprint, data)
     WHERE n.position > 0;
    UPDATE log_head SET position = _head, recorded_at = _recorded WHERE position <> _head;

    RETURN QUERY
    SELECT CASE WHEN n.known > 0 THEN 'duplicate' WHEN n.known < 0 THEN 'event_id_conflict'
                WHEN n.position > 0 THEN 'recorded' WHEN n.position = 0 THEN 'refused'
                ELSE 'version_conflict' END,
           coalesce(e.position, n.position),
           e.stream,
           CASE WHEN n.known <> 0 THEN e.version WHEN n.position > 0 THEN n.version
                ELSE _stream_heads[n.slot] END,
           coalesce(e.recorded_at, _recorded)
      FROM unnest(_known, _positions, _versions, _slots)
           WITH ORDINALITY AS n (known, position, version, slot, ordinal)
      LEFT JOIN LATERAL (SELECT e.position, e.stream, e.version, e.recorded_at FROM events e
                          WHERE n.known <> 0 AND e.position = abs(n.known)) e ON true
     ORDER BY n.ordinal;
END $$;
