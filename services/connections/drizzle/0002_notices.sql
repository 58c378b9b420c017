CREATE TABLE "forgetting" (
	"code_hash" "bytea" PRIMARY KEY NOT NULL,
	"destination" text NOT NULL,
	"connections" integer NOT NULL,
	"completed_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "user_terms_signed" boolean;--> statement-breakpoint
ALTER TABLE "connection" ADD COLUMN "consented_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "connection" ADD COLUMN "access_ends_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "connection" ADD COLUMN "business_id" text;