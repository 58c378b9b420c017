DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['connection', 'credential', 'account', 'default_account', 'oauth_state'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)
         WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO connections', name);
  END LOOP;
END $$;

-- The callback comes from a browser without a credential: the state says whose it is. This shows the one row whose exact hash
-- the transaction names, and nobody can name it without the 32 random bytes. It needs no owner's rights, as a function would.
CREATE POLICY callback ON oauth_state
  USING (state_hash = decode(nullif(current_setting('app.oauth_state', true), ''), 'hex'))
  WITH CHECK (state_hash = decode(nullif(current_setting('app.oauth_state', true), ''), 'hex'));

-- Housekeeping finds what is due in all tenants, and says so. It only looks; each change is made as the tenant.
CREATE POLICY housekeeping ON connection FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
CREATE POLICY housekeeping ON credential FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');

GRANT USAGE ON SCHEMA connections TO connections;
