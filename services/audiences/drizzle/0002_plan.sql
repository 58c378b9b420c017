CREATE TABLE "plan" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"audience_no" integer NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"mode" text NOT NULL,
	"epoch" text NOT NULL,
	"bound" text NOT NULL,
	"cursor" text NOT NULL,
	"config_version" integer NOT NULL,
	"generation" smallint NOT NULL,
	"digest" "bytea" NOT NULL,
	"counts" jsonb NOT NULL,
	"hold" jsonb,
	"shown" jsonb NOT NULL,
	"run_id" uuid
);
--> statement-breakpoint
CREATE INDEX "plan_by_age" ON "plan" USING btree ("created_at");