-- Who sees what. `audiences` sees one tenant, named by app.tenant_id in each transaction. A connector (role connector_<destination>,
-- member of the group connector) sees its own destination, of all tenants: it has to find work before it knows whose it is.

DO $$ BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO audiences, connector', current_schema());
END $$;
--> statement-breakpoint
CREATE FUNCTION current_tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;
--> statement-breakpoint
CREATE FUNCTION current_tenant_no() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT no FROM tenant WHERE id = nullif(current_setting('app.tenant_id', true), '')::uuid $$;
--> statement-breakpoint
-- connector_google_ads speaks for destination google_ads; any other role for none.
CREATE FUNCTION own_destination_no() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT no FROM destination WHERE id = substring(current_user FROM '^connector_(.+)$') $$;
--> statement-breakpoint
GRANT SELECT, INSERT ON tenant, destination TO audiences, connector;
--> statement-breakpoint
-- Tables of one tenant and one destination.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['audience', 'run', 'batch', 'call', 'history'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO audiences USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()))', t);
    EXECUTE format('CREATE POLICY destination ON %I TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO audiences, connector', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['batch_payload', 'ledger', 'ledger_tag', 'todo', 'say_again', 'rejection'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO audiences USING (tenant_no = (SELECT current_tenant_no())) WITH CHECK (tenant_no = (SELECT current_tenant_no()))', t);
    EXECUTE format('CREATE POLICY destination ON %I TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()))', t);
  END LOOP;
END $$;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON batch_payload, ledger, ledger_tag, todo, say_again, rejection TO connector;
--> statement-breakpoint
GRANT SELECT ON ledger, rejection TO audiences;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON todo TO audiences;
--> statement-breakpoint
GRANT DELETE ON call TO connector;
--> statement-breakpoint
-- Tables of a destination without a tenant: whose log position, whose quota, who may not be sent.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['tombstone', 'suppression_cursor', 'quota'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY destination ON %I TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO connector', t);
  END LOOP;
END $$;
--> statement-breakpoint
-- An account's use of its quota is shown to its tenant; audiences asks for accounts that it has checked to be the tenant's.
CREATE POLICY read_usage ON quota FOR SELECT TO audiences USING (true);
--> statement-breakpoint
GRANT SELECT ON quota TO audiences;
--> statement-breakpoint
-- Freed space beside changing rows keeps updates of the ledger in their page.
ALTER TABLE ledger SET (fillfactor = 90);
