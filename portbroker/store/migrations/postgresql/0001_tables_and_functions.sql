-- PortBroker's tables and functions, in a schema of their own. PostgreSQL gets this when PortBroker starts; on Supabase,
-- run this file in the SQL editor and add `portbroker` to the exposed schemas (Settings, Data API). Running it again
-- changes nothing. Times are microseconds since 1970 (UTC), money is nano-dollars.

CREATE SCHEMA IF NOT EXISTS portbroker;

CREATE TABLE IF NOT EXISTS portbroker.facts (
    name text PRIMARY KEY,
    value text NOT NULL
);

INSERT INTO portbroker.facts VALUES ('version', '1'), ('key_version', '0') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS portbroker.keys (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    hash text COLLATE "C" NOT NULL UNIQUE,
    prefix text NOT NULL,
    created_at bigint NOT NULL,
    previous_hash text COLLATE "C",
    previous_until bigint,
    description text NOT NULL,
    metadata jsonb NOT NULL,
    tags jsonb NOT NULL,
    expires_at bigint,
    enabled boolean NOT NULL,
    revoked_at bigint,
    admin boolean NOT NULL,
    scopes jsonb NOT NULL,
    limits jsonb NOT NULL,
    budget jsonb,
    version bigint NOT NULL
);

CREATE INDEX IF NOT EXISTS keys_previous_hash ON portbroker.keys (previous_hash) WHERE previous_hash IS NOT NULL;

CREATE TABLE IF NOT EXISTS portbroker.events (
    id text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    caller text NOT NULL,
    client text NOT NULL,
    route text NOT NULL,
    dialect text NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    upstream_model text NOT NULL,
    attempts jsonb NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    price jsonb NOT NULL,
    latency_us bigint NOT NULL,
    first_token_us bigint,
    revision text NOT NULL,
    status bigint NOT NULL,
    outcome text NOT NULL,
    partial boolean NOT NULL,
    estimated boolean NOT NULL,
    stream boolean NOT NULL,
    tags jsonb NOT NULL,
    period text COLLATE "C" NOT NULL
);

CREATE INDEX IF NOT EXISTS events_at ON portbroker.events (at, id);
CREATE INDEX IF NOT EXISTS events_key ON portbroker.events (key_id, at, id);

-- One row for all calls of a day with the same key, model and provider (tag ''), and one for each tag of these.
CREATE TABLE IF NOT EXISTS portbroker.totals (
    day text COLLATE "C" NOT NULL,
    tag text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    caller text NOT NULL,
    calls bigint NOT NULL,
    failed bigint NOT NULL,
    partial bigint NOT NULL,
    estimated bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    latency_us bigint NOT NULL,
    PRIMARY KEY (day, tag, key_id, model, provider)
);

CREATE TABLE IF NOT EXISTS portbroker.budgets (
    key_id text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    spent_nano bigint NOT NULL,
    reserved_nano bigint NOT NULL,
    PRIMARY KEY (key_id, period)
);

CREATE TABLE IF NOT EXISTS portbroker.reservations (
    id text COLLATE "C" PRIMARY KEY,
    key_id text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    amount_nano bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX IF NOT EXISTS reservations_expires ON portbroker.reservations (expires_at);

-- What was taken from a bucket in a sixtieth of its window.
CREATE TABLE IF NOT EXISTS portbroker.windows (
    bucket text COLLATE "C" NOT NULL,
    slot bigint NOT NULL,
    used bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (bucket, slot)
);

CREATE INDEX IF NOT EXISTS windows_expires ON portbroker.windows (expires_at);

CREATE TABLE IF NOT EXISTS portbroker.audit (
    id text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL,
    address text NOT NULL
);

-- The operations. Each takes its arguments by name in one jsonb and is one transaction.

CREATE OR REPLACE FUNCTION portbroker.version(arguments jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT to_jsonb(value::bigint) FROM portbroker.facts WHERE name = 'version'
$$;

CREATE OR REPLACE FUNCTION portbroker.check_pepper(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM portbroker.keys) THEN
        INSERT INTO portbroker.facts VALUES ('pepper', arguments->>'fingerprint')
        ON CONFLICT (name) DO UPDATE SET value = excluded.value;
    END IF;
    RETURN (SELECT to_jsonb(value = arguments->>'fingerprint') FROM portbroker.facts WHERE name = 'pepper');
END
$$;

-- The audit entry of a change of a key, and the new version, of which those who listen are told.
CREATE OR REPLACE FUNCTION portbroker.changed(entry jsonb) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    now text;
BEGIN
    INSERT INTO portbroker.audit SELECT * FROM jsonb_populate_record(null::portbroker.audit, entry);
    UPDATE portbroker.facts SET value = value::bigint + 1 WHERE name = 'key_version' RETURNING value INTO now;
    PERFORM pg_notify('portbroker_keys', now);
END
$$;

CREATE OR REPLACE FUNCTION portbroker.insert_key(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM portbroker.keys WHERE name = arguments->'key'->>'name') THEN
        RETURN '"name"';
    END IF;
    INSERT INTO portbroker.keys SELECT * FROM jsonb_populate_record(null::portbroker.keys, arguments->'key')
    ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN '"name"';
    END IF;
    PERFORM portbroker.changed(arguments->'audit');
    RETURN 'null';
END
$$;

CREATE OR REPLACE FUNCTION portbroker.key(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT to_jsonb(k) FROM portbroker.keys k WHERE id = arguments->>'id'
$$;

CREATE OR REPLACE FUNCTION portbroker.key_by_hash(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT to_jsonb(k) FROM portbroker.keys k
    WHERE hash = arguments->>'hash' OR previous_hash = arguments->>'hash'
    ORDER BY hash = arguments->>'hash' DESC, id LIMIT 1
$$;

CREATE OR REPLACE FUNCTION portbroker.keys(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.id), '[]') FROM (
        SELECT * FROM portbroker.keys
        WHERE id > arguments->>'after' AND name ILIKE
            '%' || replace(replace(replace(arguments->>'search', '\', '\\'), '%', '\%'), '_', '\_') || '%' ESCAPE '\'
        ORDER BY id LIMIT (arguments->>'limit')::bigint
    ) k
$$;

CREATE OR REPLACE FUNCTION portbroker.update_key(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    new portbroker.keys := jsonb_populate_record(null::portbroker.keys, arguments->'key');
    stored bigint := (SELECT version FROM portbroker.keys WHERE id = new.id FOR UPDATE);
BEGIN
    IF stored IS NULL THEN
        RETURN '"gone"';
    ELSIF stored <> (arguments->>'version')::bigint THEN
        RETURN '"version"';
    ELSIF EXISTS (SELECT FROM portbroker.keys WHERE name = new.name AND id <> new.id) THEN
        RETURN '"name"';
    END IF;
    UPDATE portbroker.keys SET
        name = new.name, hash = new.hash, prefix = new.prefix, created_at = new.created_at,
        previous_hash = new.previous_hash, previous_until = new.previous_until, description = new.description,
        metadata = new.metadata, tags = new.tags, expires_at = new.expires_at, enabled = new.enabled,
        revoked_at = new.revoked_at, admin = new.admin, scopes = new.scopes, limits = new.limits, budget = new.budget,
        version = new.version
    WHERE id = new.id;
    PERFORM portbroker.changed(arguments->'audit');
    RETURN 'null';
END
$$;

CREATE OR REPLACE FUNCTION portbroker.delete_key(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
BEGIN
    DELETE FROM portbroker.keys WHERE id = arguments->>'id';
    IF NOT FOUND THEN
        RETURN 'false';
    END IF;
    PERFORM portbroker.changed(arguments->'audit');
    RETURN 'true';
END
$$;

CREATE OR REPLACE FUNCTION portbroker.key_version(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT to_jsonb(value::bigint) FROM portbroker.facts WHERE name = 'key_version'
$$;

CREATE OR REPLACE FUNCTION portbroker.add_audit(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
BEGIN
    INSERT INTO portbroker.audit SELECT * FROM jsonb_populate_record(null::portbroker.audit, arguments->'entry');
    RETURN 'null';
END
$$;

CREATE OR REPLACE FUNCTION portbroker.audit(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.id DESC), '[]') FROM (
        SELECT * FROM portbroker.audit WHERE arguments->>'after' IS NULL OR id < arguments->>'after'
        ORDER BY id DESC LIMIT (arguments->>'limit')::bigint
    ) a
$$;

CREATE OR REPLACE FUNCTION portbroker.day_of(at bigint) RETURNS text
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT to_char(to_timestamp(floor(at / 1000000.0)) AT TIME ZONE 'UTC', 'YYYY-MM-DD')
$$;

-- Whoever changes several budgets does so in the order of their keys, so that no two wait for each other.
CREATE OR REPLACE FUNCTION portbroker.book(spent portbroker.events[], held portbroker.reservations[]) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
BEGIN
    INSERT INTO portbroker.budgets AS b
    SELECT key_id, period, sum(cost), -sum(amount) FROM (
        SELECT key_id, period, cost_nano AS cost, 0 AS amount FROM unnest(spent) WHERE period <> ''
        UNION ALL
        SELECT key_id, period, 0, amount_nano FROM unnest(held)
    ) moved
    GROUP BY key_id, period ORDER BY key_id, period
    ON CONFLICT (key_id, period) DO UPDATE SET
        spent_nano = b.spent_nano + excluded.spent_nano, reserved_nano = b.reserved_nano + excluded.reserved_nano;
END
$$;

CREATE OR REPLACE FUNCTION portbroker.record(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    fresh portbroker.events[];
    held portbroker.reservations[];
BEGIN
    WITH kept AS (
        INSERT INTO portbroker.events
        SELECT * FROM jsonb_populate_recordset(null::portbroker.events, arguments->'events') ORDER BY id
        ON CONFLICT DO NOTHING RETURNING *
    )
    SELECT coalesce(array_agg(kept::portbroker.events), '{}') INTO fresh FROM kept;

    INSERT INTO portbroker.totals AS t
    SELECT portbroker.day_of(e.at), tagged.tag, e.key_id, e.model, e.provider, max(e.caller), count(*),
        count(*) FILTER (WHERE e.outcome NOT IN ('ok', 'cancelled')), count(*) FILTER (WHERE e.partial),
        count(*) FILTER (WHERE e.estimated), sum(e.input_tokens), sum(e.output_tokens), sum(e.cached_input_tokens),
        sum(e.cache_write_tokens), sum(e.reasoning_tokens), sum(e.cost_nano), sum(e.latency_us)
    FROM unnest(fresh) e CROSS JOIN LATERAL (
        SELECT '' AS tag UNION ALL SELECT value FROM jsonb_array_elements_text(e.tags) AS value WHERE value <> ''
    ) tagged
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, tag, key_id, model, provider) DO UPDATE SET
        caller = excluded.caller, calls = t.calls + excluded.calls, failed = t.failed + excluded.failed,
        partial = t.partial + excluded.partial, estimated = t.estimated + excluded.estimated,
        input_tokens = t.input_tokens + excluded.input_tokens, output_tokens = t.output_tokens + excluded.output_tokens,
        cached_input_tokens = t.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_tokens = t.cache_write_tokens + excluded.cache_write_tokens,
        reasoning_tokens = t.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = t.cost_nano + excluded.cost_nano, latency_us = t.latency_us + excluded.latency_us;

    WITH settled AS (
        DELETE FROM portbroker.reservations WHERE id = ANY (ARRAY(SELECT id FROM unnest(fresh))) RETURNING *
    )
    SELECT coalesce(array_agg(settled::portbroker.reservations), '{}') INTO held FROM settled;
    PERFORM portbroker.book(fresh, held);
    RETURN to_jsonb(cardinality(fresh));
END
$$;

CREATE OR REPLACE FUNCTION portbroker.usage(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    filter jsonb := arguments->'where';
    after text[] := CASE jsonb_typeof(arguments->'after')
        WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(arguments->'after')) END;
    tagged boolean := arguments->'by' ? 'tag' OR filter->>'tag' IS NOT NULL;
    columns text := (
        SELECT string_agg(CASE name WHEN 'key' THEN 'key_id' WHEN 'model' THEN 'model' WHEN 'provider' THEN 'provider'
            WHEN 'day' THEN 'day' WHEN 'tag' THEN 'tag' END, ', ' ORDER BY place)
        FROM jsonb_array_elements_text(arguments->'by') WITH ORDINALITY AS b(name, place)
    );
    source text := 'SELECT * FROM portbroker.totals WHERE ($1->>''since'' IS NULL OR day >= portbroker.day_of(($1->>''since'')::bigint))
        AND ($1->>''until'' IS NULL OR day < portbroker.day_of(($1->>''until'')::bigint))';
    found jsonb;
BEGIN
    IF filter->>'outcome' IS NOT NULL
        OR coalesce((filter->>'since')::bigint, 0) % 86400000000 <> 0
        OR coalesce((filter->>'until')::bigint, 0) % 86400000000 <> 0
    THEN
        -- The totals are by whole days and know no outcome.
        source := format('SELECT portbroker.day_of(at) AS day, %s AS tag, key_id, model, provider, caller, 1 AS calls,
            (outcome NOT IN (''ok'', ''cancelled''))::int AS failed, partial::int AS partial, estimated::int AS estimated,
            input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano, latency_us
            FROM portbroker.events %s
            WHERE ($1->>''since'' IS NULL OR at >= ($1->>''since'')::bigint)
            AND ($1->>''until'' IS NULL OR at < ($1->>''until'')::bigint)
            AND ($1->>''outcome'' IS NULL OR outcome = $1->>''outcome'')',
            CASE WHEN tagged THEN 'word COLLATE "C"' ELSE '''''' END,
            CASE WHEN tagged THEN 'CROSS JOIN LATERAL jsonb_array_elements_text(tags) AS word' ELSE '' END);
    END IF;
    EXECUTE format('SELECT jsonb_agg(to_jsonb(g)) FROM (
            SELECT ARRAY[%1$s]::text[] AS "values", max(caller) AS caller, sum(calls)::bigint AS calls,
                sum(failed)::bigint AS failed, sum(partial)::bigint AS partial, sum(estimated)::bigint AS estimated,
                sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                sum(cached_input_tokens) AS cached_input_tokens, sum(cache_write_tokens) AS cache_write_tokens,
                sum(reasoning_tokens) AS reasoning_tokens, sum(cost_nano) AS cost_nano, sum(latency_us) AS latency_us
            FROM (%2$s) source
            WHERE ($1->>''key_id'' IS NULL OR key_id = $1->>''key_id'')
                AND ($1->>''model'' IS NULL OR model = $1->>''model'')
                AND ($1->>''provider'' IS NULL OR provider = $1->>''provider'')
                AND CASE WHEN $1->>''tag'' IS NOT NULL THEN tag = $1->>''tag'' ELSE (tag <> '''') = $4 END
                AND ($2 IS NULL OR ARRAY[%1$s]::text[] > $2)
            GROUP BY %3$s HAVING count(*) > 0 ORDER BY 1 LIMIT $3
        ) g', coalesce(columns, ''), source, coalesce(columns, '()'))
    INTO found USING filter, after, (arguments->>'limit')::bigint, tagged;
    RETURN coalesce(found, '[]');
END
$$;

CREATE OR REPLACE FUNCTION portbroker.events(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    found jsonb;
BEGIN
    -- As text, so that it is planned for the filters that are there.
    EXECUTE 'SELECT jsonb_agg(to_jsonb(e) ORDER BY e.at DESC, e.id DESC) FROM (
            SELECT * FROM portbroker.events
            WHERE ($1->>''since'' IS NULL OR at >= ($1->>''since'')::bigint)
                AND ($1->>''until'' IS NULL OR at < ($1->>''until'')::bigint)
                AND ($1->>''key_id'' IS NULL OR key_id = $1->>''key_id'')
                AND ($1->>''model'' IS NULL OR model = $1->>''model'')
                AND ($1->>''provider'' IS NULL OR provider = $1->>''provider'')
                AND ($1->>''outcome'' IS NULL OR outcome = $1->>''outcome'')
                AND ($1->>''tag'' IS NULL OR tags ? ($1->>''tag''))
                AND ($2->>''id'' IS NULL OR (at, id) < (($2->>''at'')::bigint, $2->>''id''))
            ORDER BY at DESC, id DESC LIMIT $3
        ) e'
    INTO found USING arguments->'where', arguments->'after', (arguments->>'limit')::bigint;
    RETURN coalesce(found, '[]');
END
$$;

CREATE OR REPLACE FUNCTION portbroker.forget(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    gone bigint;
BEGIN
    -- An array, because a subquery may be run once for each row, and then finds others each time.
    DELETE FROM portbroker.events WHERE id = ANY (ARRAY(
        SELECT id FROM portbroker.events WHERE at < (arguments->>'before')::bigint
        ORDER BY at, id LIMIT (arguments->>'limit')::bigint FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN to_jsonb(gone);
END
$$;

CREATE OR REPLACE FUNCTION portbroker.reserve(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    r portbroker.reservations := jsonb_populate_record(null::portbroker.reservations, arguments->'reservation');
    budget bigint := (arguments->'reservation'->>'budget_nano')::bigint;
    granted boolean := true;
    remaining bigint;
BEGIN
    INSERT INTO portbroker.reservations SELECT (r).* ON CONFLICT DO NOTHING;
    IF FOUND THEN -- otherwise it is asked again: it was granted
        INSERT INTO portbroker.budgets VALUES (r.key_id, r.period, 0, 0) ON CONFLICT DO NOTHING;
        UPDATE portbroker.budgets SET reserved_nano = reserved_nano + r.amount_nano
        WHERE key_id = r.key_id AND period = r.period AND spent_nano + reserved_nano + r.amount_nano <= budget;
        granted := FOUND;
    END IF;
    IF NOT granted THEN
        DELETE FROM portbroker.reservations WHERE id = r.id;
    END IF;
    SELECT budget - spent_nano - reserved_nano INTO remaining
    FROM portbroker.budgets WHERE key_id = r.key_id AND period = r.period;
    RETURN jsonb_build_object('granted', granted, 'remaining_nano', greatest(0, remaining));
END
$$;

CREATE OR REPLACE FUNCTION portbroker.release(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    gone portbroker.reservations;
BEGIN
    DELETE FROM portbroker.reservations WHERE id = arguments->>'id' RETURNING * INTO gone;
    IF FOUND THEN
        PERFORM portbroker.book('{}', ARRAY[gone]);
    END IF;
    RETURN 'null';
END
$$;

CREATE OR REPLACE FUNCTION portbroker.sweep(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    gone portbroker.reservations[];
BEGIN
    WITH expired AS (
        DELETE FROM portbroker.reservations WHERE id = ANY (ARRAY(
            SELECT id FROM portbroker.reservations WHERE expires_at <= (arguments->>'now')::bigint
            ORDER BY id FOR UPDATE SKIP LOCKED
        )) RETURNING *
    )
    SELECT coalesce(array_agg(expired::portbroker.reservations), '{}') INTO gone FROM expired;
    PERFORM portbroker.book('{}', gone);
    DELETE FROM portbroker.windows WHERE (bucket, slot) IN (
        SELECT bucket, slot FROM portbroker.windows WHERE expires_at <= (arguments->>'now')::bigint
        FOR UPDATE SKIP LOCKED
    );
    RETURN to_jsonb(cardinality(gone));
END
$$;

CREATE OR REPLACE FUNCTION portbroker.spending(arguments jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' AS $$
    SELECT jsonb_build_object('spent_nano', coalesce(sum(spent_nano), 0), 'reserved_nano', coalesce(sum(reserved_nano), 0))
    FROM portbroker.budgets WHERE key_id = arguments->>'key_id' AND period = arguments->>'period'
$$;

-- How one take would go. A slot counts until all of it has left the window.
CREATE OR REPLACE FUNCTION portbroker.look(take jsonb, now bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    amount bigint := (take->>'amount')::bigint;
    most bigint := (take->>'limit')::bigint;
    taken bigint := (
        SELECT coalesce(sum(w.used), 0) FROM portbroker.windows w
        WHERE w.bucket = take->>'bucket' AND w.expires_at > now
    );
    wait bigint;
BEGIN
    IF greatest(0, most - taken) >= amount THEN
        RETURN jsonb_build_object('granted', true, 'remaining', greatest(0, most - taken), 'retry_after', 0);
    END IF;
    SELECT s.expires_at - now INTO wait FROM (
        SELECT w.slot, w.expires_at, taken - sum(w.used) OVER (ORDER BY w.slot) AS rest
        FROM portbroker.windows w WHERE w.bucket = take->>'bucket' AND w.expires_at > now
    ) s
    WHERE s.rest + amount <= most ORDER BY s.slot LIMIT 1;
    RETURN jsonb_build_object('granted', false, 'remaining', greatest(0, most - taken),
        'retry_after', coalesce(wait, (take->>'window')::bigint));
END
$$;

CREATE OR REPLACE FUNCTION portbroker.take(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    now bigint := (arguments->>'now')::bigint;
    one jsonb;
    seen jsonb;
    looks jsonb := '[]';
    granted boolean := true;
    place int := 0;
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(arguments->'takes') ORDER BY value->>'bucket' LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('portbroker.windows ' || (one->>'bucket'), 0));
    END LOOP;
    FOR one IN SELECT value FROM jsonb_array_elements(arguments->'takes') LOOP
        seen := portbroker.look(one, now);
        granted := granted AND (seen->>'granted')::boolean;
        looks := looks || seen;
    END LOOP;
    IF NOT granted THEN
        RETURN looks;
    END IF;
    FOR one IN SELECT value FROM jsonb_array_elements(arguments->'takes') LOOP
        PERFORM portbroker.correct(jsonb_build_object('bucket', one->'bucket', 'at', now, 'by', one->'amount',
            'window', one->'window'));
        looks := jsonb_set(looks, ARRAY[place::text, 'remaining'],
            to_jsonb((looks->place->>'remaining')::bigint - (one->>'amount')::bigint));
        place := place + 1;
    END LOOP;
    RETURN looks;
END
$$;

CREATE OR REPLACE FUNCTION portbroker.correct(arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = '' AS $$
DECLARE
    length bigint := (arguments->>'window')::bigint / 60;
    slot bigint := (arguments->>'at')::bigint / length;
    change bigint := (arguments->>'by')::bigint;
BEGIN
    INSERT INTO portbroker.windows AS w VALUES (arguments->>'bucket', slot, greatest(0, change), (slot + 61) * length)
    ON CONFLICT ON CONSTRAINT windows_pkey DO UPDATE SET used = greatest(0, w.used + change);
    RETURN 'null';
END
$$;

-- Who may: the owner, and on Supabase `service_role`, which the secret key stands for. Nobody else, not even to look.

REVOKE ALL ON SCHEMA portbroker FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA portbroker FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA portbroker FROM PUBLIC;

DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'portbroker' LOOP
        EXECUTE format('ALTER TABLE portbroker.%I ENABLE ROW LEVEL SECURITY', part.tablename);
    END LOOP;
    FOR part IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA portbroker FROM %I', part.rolname);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA portbroker FROM %I', part.rolname);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA portbroker FROM %I', part.rolname);
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        GRANT USAGE ON SCHEMA portbroker TO service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA portbroker TO service_role;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA portbroker TO service_role;
    END IF;
END
$$;

NOTIFY pgrst, 'reload schema';
