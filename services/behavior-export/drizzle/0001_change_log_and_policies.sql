-- What drizzle cannot say: the partitioned change log, functions, row-level security, grants.
-- Functions that run as the owner must not find a caller's temporary tables first.
SELECT set_config('search_path', current_schema() || ', pg_temp', true);
--> statement-breakpoint
ALTER TABLE membership SET (fillfactor = 90);
--> statement-breakpoint
-- Written by the same statement as the change itself, read by cursor (xid, seq) below the horizon (DESIGN.md R2). By day,
-- so that old days are dropped and not deleted. `at` is the transaction's time: all rows of a transaction share a partition.
CREATE TABLE change_log (
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	customer_no bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT now(),
	behavior_no integer NOT NULL,
	tenant_no integer NOT NULL,
	purposes smallint NOT NULL,
	groups smallint NOT NULL,
	member boolean NOT NULL,
	fingerprints bytea NOT NULL
) PARTITION BY RANGE (at);
--> statement-breakpoint
CREATE INDEX change_log_order ON change_log (behavior_no, xid, seq);
--> statement-breakpoint
CREATE FUNCTION current_tenant_no() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT
	RETURN (SELECT no FROM tenant WHERE id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--> statement-breakpoint
-- Another value after every way to lose history: another cluster, a promotion or point-in-time recovery (timeline), a dump
-- read into a new database or into emptied tables.
CREATE FUNCTION feed_home() RETURNS text LANGUAGE sql STABLE SET search_path FROM CURRENT
	RETURN (SELECT concat_ws('/', s.system_identifier, c.timeline_id, d.oid, 'change_log'::regclass::oid)
	        FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database());
--> statement-breakpoint
-- Begins a new history (SYNC.md C8): positions handed out before are void, and no number given out after the restore point comes again.
CREATE FUNCTION new_epoch() RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	ahead constant bigint := 100000000; -- more customers and changes than a lost day can have made
	epoch uuid := gen_random_uuid();
BEGIN
	LOCK TABLE feed_epoch IN EXCLUSIVE MODE;
	TRUNCATE change_log;
	PERFORM setval(pg_get_serial_sequence('customer', 'no'), nextval(pg_get_serial_sequence('customer', 'no')) + ahead);
	PERFORM setval(pg_get_serial_sequence('change_log', 'seq'), nextval(pg_get_serial_sequence('change_log', 'seq')) + ahead);
	-- The log of suppressions is kept: readers of the new epoch read it again from its beginning.
	UPDATE suppression_log SET xid = pg_current_xact_id();
	UPDATE feed_epoch SET id = epoch, cluster = feed_home(), since = now(), oldest_xid = pg_current_xact_id(), oldest_seq = 0;
	RETURN epoch;
END $$;
--> statement-breakpoint
-- Called by whoever finds that the database is not the one the epoch was made in; many may find it at once.
CREATE FUNCTION renew_epoch() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	LOCK TABLE feed_epoch IN EXCLUSIVE MODE;
	IF EXISTS (SELECT FROM feed_epoch WHERE cluster <> feed_home()) THEN PERFORM new_epoch(); END IF;
END $$;
--> statement-breakpoint
-- Makes the days to come and drops those that nobody may need any more, remembering how far back the log still reaches.
CREATE FUNCTION maintain_change_log(keep interval, days_ahead integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	today constant date := (now() AT TIME ZONE 'UTC')::date;
	day date;
	part text;
	lost record;
BEGIN
	PERFORM pg_advisory_xact_lock(7310002); -- two pods at once
	FOR day IN SELECT today + n FROM generate_series(-1, days_ahead) n LOOP
		part := 'change_log_' || to_char(day, 'YYYYMMDD');
		CONTINUE WHEN to_regclass(part) IS NOT NULL;
		-- LIKE and ATTACH: CREATE … PARTITION OF would wait for, and stop, every writer.
		EXECUTE format('CREATE TABLE %I (LIKE change_log INCLUDING DEFAULTS)', part);
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
		EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_no = (SELECT current_tenant_no()))', part);
		EXECUTE format('ALTER TABLE change_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
			day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
	END LOOP;
	FOR part IN
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'change_log'::regclass
			AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= ((now() - keep) AT TIME ZONE 'UTC')::date
	LOOP
		EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', part); -- the owner looks at all tenants, once
		EXECUTE format('SELECT max(xid) AS xid, max(seq) AS seq FROM %I', part) INTO lost;
		UPDATE feed_epoch SET oldest_xid = greatest(oldest_xid, lost.xid), oldest_seq = greatest(oldest_seq, lost.seq) WHERE lost.xid IS NOT NULL;
		EXECUTE format('DROP TABLE %I', part);
	END LOOP;
END $$;
--> statement-breakpoint
INSERT INTO feed_epoch (id, cluster) VALUES (gen_random_uuid(), 'none yet');
--> statement-breakpoint
SELECT maintain_change_log('30 days', 7);
--> statement-breakpoint
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['tenant', 'behavior', 'customer', 'membership', 'change_log', 'suppression_log', 'identifier_tag', 'parked_event', 'erasure'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
	END LOOP;
	FOREACH name IN ARRAY ARRAY['behavior', 'customer', 'membership', 'change_log', 'identifier_tag', 'erasure'] LOOP
		EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_no = (SELECT current_tenant_no())) WITH CHECK (tenant_no = (SELECT current_tenant_no()))', name);
	END LOOP;
	FOREACH name IN ARRAY ARRAY['suppression_log', 'parked_event'] LOOP
		EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
			WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
	END LOOP;
	CREATE POLICY tenant ON tenant USING (id = nullif(current_setting('app.tenant_id', true), '')::uuid)
		WITH CHECK (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
	-- Work that belongs to no tenant: connectors read everybody's suppressions, the sweeps find what is due.
	FOREACH name IN ARRAY ARRAY['suppression_log', 'parked_event', 'tenant'] LOOP
		EXECUTE format('CREATE POLICY sweep ON %I FOR SELECT USING (coalesce(current_setting(''app.tenant_id'', true), '''') = '''')', name);
	END LOOP;
	CREATE POLICY owner ON suppression_log TO CURRENT_USER USING (true); -- new_epoch() moves all of it
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO behavior_export', current_schema());
	GRANT SELECT, INSERT, UPDATE, DELETE ON tenant, behavior, customer, membership, identifier_tag, parked_event, erasure TO behavior_export;
	GRANT SELECT, INSERT ON change_log, suppression_log TO behavior_export;
	GRANT SELECT ON feed_epoch TO behavior_export;
	REVOKE EXECUTE ON FUNCTION new_epoch(), renew_epoch(), maintain_change_log(interval, integer) FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION renew_epoch(), maintain_change_log(interval, integer) TO behavior_export;
END $$;
