CREATE TABLE "dek" (
	"tenant_id" uuid NOT NULL,
	"id" text NOT NULL,
	"kek_id" text NOT NULL,
	"wrapped" text NOT NULL,
	"uses" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"superseded_at" timestamp with time zone,
	"retire_at" timestamp with time zone,
	CONSTRAINT "dek_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "dek_current" ON "dek" USING btree ("tenant_id") WHERE superseded_at IS NULL;--> statement-breakpoint
CREATE INDEX "dek_by_kek" ON "dek" USING btree ("kek_id");