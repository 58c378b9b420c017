ALTER TABLE "erasure" ADD COLUMN "completed_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "erasure_pending" ON "erasure" USING btree ("id") WHERE status = 'pending_destination';--> statement-breakpoint
CREATE INDEX "suppression_log_erased" ON "suppression_log" USING btree ("customer_no") WHERE reason = 'erased';--> statement-breakpoint
-- The owner looks at all tenants, once.
ALTER TABLE erasure NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
UPDATE erasure SET completed_at = requested_at WHERE status = 'completed';
--> statement-breakpoint
ALTER TABLE erasure FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
-- Whose removals are still to be proven is asked for all tenants at once.
CREATE POLICY sweep ON erasure FOR SELECT USING (coalesce(current_setting('app.tenant_id', true), '') = '');
