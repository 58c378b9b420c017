-- Applied to the schema of every service. The owner writes rows of its tenant; the relay crosses tenants, here and nowhere else.
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE inbox ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE inbox FORCE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE POLICY tenant ON outbox USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);--> statement-breakpoint
CREATE POLICY tenant ON inbox USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);--> statement-breakpoint
CREATE POLICY relay ON outbox TO relay USING (true) WITH CHECK (true);--> statement-breakpoint
CREATE POLICY relay ON inbox FOR ALL TO relay USING (true);--> statement-breakpoint
DO $$
DECLARE
  owners text := CASE current_schema() WHEN 'sync' THEN 'audiences, connector' ELSE current_schema()::text END;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s, relay', current_schema(), owners);
  EXECUTE format('GRANT SELECT, INSERT ON outbox, inbox TO %s', owners);
END $$;--> statement-breakpoint
GRANT SELECT, UPDATE, DELETE ON outbox TO relay;--> statement-breakpoint
GRANT SELECT, DELETE ON inbox TO relay;
