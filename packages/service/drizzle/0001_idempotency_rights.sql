-- Applied to every service's schema: the role is that of the schema, only `sync` is used by `audiences`.
ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON idempotency
  USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--> statement-breakpoint
-- The sweep runs without a tenant and sees only what has expired.
CREATE POLICY expired_seen ON idempotency FOR SELECT
  USING (coalesce(current_setting('app.tenant_id', true), '') = '' AND created_at < now() - interval '24 hours');
--> statement-breakpoint
CREATE POLICY expired_removed ON idempotency FOR DELETE
  USING (coalesce(current_setting('app.tenant_id', true), '') = '' AND created_at < now() - interval '24 hours');
--> statement-breakpoint
DO $$
DECLARE
  role_name text := CASE current_schema() WHEN 'sync' THEN 'audiences' ELSE current_schema() END;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.idempotency TO %I', current_schema(), role_name);
END
$$;
