CREATE TABLE "size_check" (
	"audience_no" integer PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"due_at" timestamp with time zone,
	"wanted_at" timestamp with time zone DEFAULT now() NOT NULL,
	"counted_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "tenant_default" (
	"tenant_id" uuid PRIMARY KEY NOT NULL,
	"default_country" text,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "size_check_due" ON "size_check" USING btree ("due_at") WHERE due_at IS NOT NULL;