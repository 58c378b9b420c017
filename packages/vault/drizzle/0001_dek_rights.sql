ALTER TABLE dek ENABLE ROW LEVEL SECURITY;
ALTER TABLE dek FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dek
  USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- Changing the key-encryption key goes through all tenants, and says so; it only looks, each update is made as the tenant.
CREATE POLICY rewrap ON dek FOR SELECT USING (current_setting('app.rewrap', true) = 'on');
-- These files are applied to several schemas: the roles follow from the schema.
DO $$
DECLARE
  reader text := CASE current_schema() WHEN 'sync' THEN 'audiences, connector' ELSE current_schema() END;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', current_schema(), reader);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON dek TO %s', reader);
END $$;
