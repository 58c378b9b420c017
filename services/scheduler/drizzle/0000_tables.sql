CREATE TABLE "schedule" (
	"audience_id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"destination" text NOT NULL,
	"schedule" jsonb NOT NULL,
	"active" boolean NOT NULL,
	"version" bigint NOT NULL,
	"next_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "slot" (
	"audience_id" uuid NOT NULL,
	"slot_utc" timestamp with time zone NOT NULL,
	"tenant_id" uuid NOT NULL,
	"fired_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "slot_audience_id_slot_utc_pk" PRIMARY KEY("audience_id","slot_utc")
);
--> statement-breakpoint
CREATE INDEX "schedule_due" ON "schedule" USING btree ("next_at") WHERE next_at IS NOT NULL;