-- Requests and handlers see their tenant's rows. The worker that counts runs without a tenant and sees every wish: it has to
-- find what is due before it knows whose it is.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['size_check', 'tenant_default'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO audiences USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO audiences', t);
  END LOOP;
END $$;
--> statement-breakpoint
CREATE POLICY worker ON size_check TO audiences USING ((SELECT current_tenant_id()) IS NULL);
