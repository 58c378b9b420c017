-- A handler or a request sees its tenant's rows. Workers look without a tenant for endpoints that are due, and housekeeping for
-- what is old; what they find they go on with in that tenant's name.
GRANT USAGE ON SCHEMA webhooks TO webhooks;
--> statement-breakpoint
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['endpoint', 'event', 'delivery', 'attempt', 'connection_status'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO webhooks', t);
  END LOOP;
END $$;
--> statement-breakpoint
CREATE POLICY worker ON endpoint TO webhooks USING (coalesce(current_setting('app.tenant_id', true), '') = '');
--> statement-breakpoint
CREATE POLICY old_seen ON event FOR SELECT TO webhooks USING (coalesce(current_setting('app.tenant_id', true), '') = '' AND created_at < now() - interval '30 days');
--> statement-breakpoint
CREATE POLICY old_removed ON event FOR DELETE TO webhooks USING (coalesce(current_setting('app.tenant_id', true), '') = '' AND created_at < now() - interval '30 days');
