-- Who sees what. The role `gateway` owns nothing and is under forced row-level security like everybody else.
GRANT USAGE ON SCHEMA gateway TO gateway;
--> statement-breakpoint
REVOKE ALL ON ALL TABLES IN SCHEMA gateway FROM PUBLIC;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON tenant TO gateway;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON api_key TO gateway;
--> statement-breakpoint
GRANT SELECT, INSERT ON audit_log TO gateway;
--> statement-breakpoint
ALTER TABLE tenant ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY of_tenant ON tenant
  USING (id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  WITH CHECK (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY of_tenant ON api_key
  USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY of_tenant ON audit_log
  USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
--> statement-breakpoint
-- A caller's tenant is only known once its key is found. So a transaction that names a key sees that one row, whatever its
-- tenant, read-only: less than a SECURITY DEFINER function could do, and no table is ever seen whole.
CREATE POLICY of_named_key ON api_key FOR SELECT TO gateway
  USING (id = nullif(current_setting('app.key_id', true), ''));
--> statement-breakpoint
-- Append-only even for whoever is granted more by mistake.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = '42501';
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
-- A row that does not continue the chain is refused, so a fork or a gap cannot be written, only seen by a hash that is wrong.
CREATE FUNCTION audit_log_continues() RETURNS trigger LANGUAGE plpgsql SET search_path = gateway, pg_temp AS $$
DECLARE last audit_log;
BEGIN
  SELECT * INTO last FROM audit_log WHERE tenant_id = NEW.tenant_id ORDER BY seq DESC LIMIT 1;
  IF NEW.seq <> coalesce(last.seq, 0) + 1 OR NEW.previous_hash <> coalesce(last.hash, decode(repeat('00', 32), 'hex')) THEN
    RAISE EXCEPTION 'audit_log row % does not continue its chain', NEW.seq USING ERRCODE = '40001';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_log_chain BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_continues();
