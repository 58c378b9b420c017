ALTER TABLE "audience" ADD COLUMN "far_state" jsonb;
--> statement-breakpoint
CREATE TABLE "lookalike" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "lookalike_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"id" uuid NOT NULL,
	"tenant_id" uuid NOT NULL,
	"destination_no" smallint NOT NULL,
	"audience_no" integer NOT NULL,
	"name" text NOT NULL,
	"spec" jsonb NOT NULL,
	"external_id" text,
	"adopted" boolean DEFAULT false NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"status_reason" jsonb,
	"status_since" timestamp with time zone DEFAULT now() NOT NULL,
	"attempts" smallint DEFAULT 0 NOT NULL,
	"size_lower" bigint,
	"size_upper" bigint,
	"size_as_of" timestamp with time zone,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delete_requested_at" timestamp with time zone,
	"deleted_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "lookalike_id_unique" UNIQUE("id")
);
--> statement-breakpoint
ALTER TABLE "lookalike" ADD CONSTRAINT "lookalike_audience_no_audience_no_fk" FOREIGN KEY ("audience_no") REFERENCES "audience"("no") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
CREATE INDEX "lookalike_of_audience" ON "lookalike" USING btree ("audience_no","id");
--> statement-breakpoint
CREATE INDEX "lookalike_due" ON "lookalike" USING btree ("destination_no","due_at") WHERE deleted_at IS NULL;
--> statement-breakpoint
CREATE UNIQUE INDEX "lookalike_spec" ON "lookalike" USING btree ("audience_no","spec") WHERE deleted_at IS NULL;
--> statement-breakpoint
ALTER TABLE "lookalike" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "lookalike" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON "lookalike" TO audiences USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()));
--> statement-breakpoint
CREATE POLICY destination ON "lookalike" TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()));
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON "lookalike" TO audiences;
--> statement-breakpoint
GRANT SELECT, UPDATE ON "lookalike" TO connector;
