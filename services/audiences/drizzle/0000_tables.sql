CREATE TABLE "size_check" (
	"audience_no" integer PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"not_before" timestamp with time zone DEFAULT now() NOT NULL,
	"wanted_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tenant_default" (
	"tenant_id" uuid PRIMARY KEY NOT NULL,
	"default_country" text,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "size_check_due" ON "size_check" USING btree ("not_before");