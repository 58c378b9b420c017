CREATE TABLE "removed_member" (
	"customer_no" bigint NOT NULL,
	"batch_no" bigint NOT NULL,
	"removed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	CONSTRAINT "removed_member_audience_no_customer_no_pk" PRIMARY KEY("audience_no","customer_no")
);
--> statement-breakpoint
CREATE INDEX "removed_member_by_time" ON "removed_member" USING btree ("removed_at");
--> statement-breakpoint
ALTER TABLE "removed_member" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "removed_member" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON "removed_member" TO audiences USING (tenant_no = (SELECT current_tenant_no())) WITH CHECK (tenant_no = (SELECT current_tenant_no()));
--> statement-breakpoint
CREATE POLICY destination ON "removed_member" TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()));
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON "removed_member" TO connector;
--> statement-breakpoint
GRANT SELECT ON "removed_member" TO audiences;
