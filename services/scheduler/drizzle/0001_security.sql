-- A handler or a request sees its tenant's schedules. The clock runs without a tenant and sees all: it has to find what is due
-- before it knows whose it is; it fires each in that tenant's name.
GRANT USAGE ON SCHEMA scheduler TO scheduler;
--> statement-breakpoint
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['schedule', 'slot'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  END LOOP;
END $$;
--> statement-breakpoint
CREATE POLICY clock ON schedule TO scheduler USING (coalesce(current_setting('app.tenant_id', true), '') = '');
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON schedule TO scheduler;
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON slot TO scheduler;
