ALTER TABLE "audience" ADD COLUMN "drift_policy" jsonb DEFAULT '{"missing":"hold","renamed":"report","size":"report"}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "audience" ADD COLUMN "drift" jsonb;--> statement-breakpoint
ALTER TABLE "audience" ADD COLUMN "check_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "audience" ADD COLUMN "missing" jsonb;--> statement-breakpoint
ALTER TABLE "audience" ADD COLUMN "heal_requested_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "audience_to_check" ON "audience" USING btree ("destination_no","check_at") WHERE external_id IS NOT NULL AND deleted_at IS NULL;--> statement-breakpoint
ALTER TABLE "ledger" DROP CONSTRAINT "ledger_audience_no_customer_no_pk";--> statement-breakpoint
ALTER TABLE "ledger" ADD CONSTRAINT "ledger_audience_no_customer_no_generation_pk" PRIMARY KEY("audience_no","customer_no","generation");--> statement-breakpoint
CREATE TABLE "far_audience" (
	"audience_no" integer NOT NULL,
	"generation" smallint NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"external_id" text NOT NULL,
	"adopted" boolean NOT NULL,
	"state" text NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"purged_at" timestamp with time zone,
	CONSTRAINT "far_audience_audience_no_generation_pk" PRIMARY KEY("audience_no","generation")
);
--> statement-breakpoint
CREATE TABLE "former_removal" (
	"customer_no" bigint NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"generation" smallint NOT NULL,
	"times" smallint NOT NULL,
	"not_before" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "former_removal_audience_no_generation_customer_no_pk" PRIMARY KEY("audience_no","generation","customer_no")
);
--> statement-breakpoint
CREATE INDEX "far_audience_to_purge" ON "far_audience" USING btree ("destination_no") WHERE state = 'deleted' AND purged_at IS NULL;--> statement-breakpoint
CREATE INDEX "former_removal_due" ON "former_removal" USING btree ("destination_no","not_before");--> statement-breakpoint
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['far_audience', 'former_removal'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO audiences USING (tenant_no = (SELECT current_tenant_no())) WITH CHECK (tenant_no = (SELECT current_tenant_no()))', t);
    EXECUTE format('CREATE POLICY destination ON %I TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO connector', t);
  END LOOP;
END $$;
