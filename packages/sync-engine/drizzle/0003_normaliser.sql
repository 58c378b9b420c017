-- Whatever stands in ledgers until now was made by the first normaliser.
ALTER TABLE "audience" ADD COLUMN "normaliser" smallint DEFAULT 1;
--> statement-breakpoint
ALTER TABLE "audience" ALTER COLUMN "normaliser" DROP DEFAULT;
--> statement-breakpoint
CREATE INDEX "todo_waiting" ON "todo" USING btree ("audience_no") WHERE reason IN ('in_flight', 'normaliser');
--> statement-breakpoint
CREATE TABLE "normaliser_in_force" (
	"destination_no" smallint PRIMARY KEY NOT NULL,
	"version" smallint NOT NULL,
	"others" smallint[] NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "normaliser_report" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "normaliser_report_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"destination_no" smallint NOT NULL,
	"audience_no" integer NOT NULL,
	"version" smallint NOT NULL,
	"in_force" smallint,
	"at_most" integer,
	"status" text DEFAULT 'queued' NOT NULL,
	"figures" jsonb,
	"error" jsonb,
	"claimed_until" timestamp with time zone,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone
);
--> statement-breakpoint
CREATE INDEX "normaliser_report_of_audience" ON "normaliser_report" USING btree ("audience_no","no" DESC NULLS LAST);
--> statement-breakpoint
CREATE UNIQUE INDEX "one_open_normaliser_report" ON "normaliser_report" USING btree ("audience_no","version") WHERE status IN ('queued', 'running');
--> statement-breakpoint
ALTER TABLE "normaliser_in_force" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "normaliser_in_force" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY destination ON "normaliser_in_force" TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()));
--> statement-breakpoint
-- Which version speaks is no secret of a tenant: previews and plans are made with it.
CREATE POLICY read_version ON "normaliser_in_force" FOR SELECT TO audiences USING (true);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "normaliser_in_force" TO connector;
--> statement-breakpoint
GRANT SELECT ON "normaliser_in_force" TO audiences;
--> statement-breakpoint
ALTER TABLE "normaliser_report" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "normaliser_report" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON "normaliser_report" TO audiences USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()));
--> statement-breakpoint
CREATE POLICY destination ON "normaliser_report" TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()));
--> statement-breakpoint
GRANT SELECT, INSERT ON "normaliser_report" TO audiences;
--> statement-breakpoint
GRANT SELECT, UPDATE, DELETE ON "normaliser_report" TO connector;
--> statement-breakpoint
-- Housekeeping forgets the oldest.
CREATE INDEX "history_by_time" ON "history" USING btree ("at");
--> statement-breakpoint
GRANT DELETE ON "history" TO connector;
--> statement-breakpoint
ALTER TABLE "rejection" ADD COLUMN "fingerprint" bigint;
