-- Requests see their tenant's plans. The sweep runs without a tenant: it deletes by age, whoever's they are.
ALTER TABLE plan ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE plan FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON plan TO audiences USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()));
--> statement-breakpoint
CREATE POLICY sweep ON plan TO audiences USING ((SELECT current_tenant_id()) IS NULL);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON plan TO audiences;
