CREATE TABLE "account" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"connection_id" uuid NOT NULL,
	"destination" text NOT NULL,
	"external_id" text NOT NULL,
	"name" text NOT NULL,
	"selected" boolean DEFAULT false NOT NULL,
	"status" text NOT NULL,
	"status_detail" text NOT NULL,
	"currency" text,
	"time_zone" text,
	"business" jsonb,
	"terms_signed" boolean NOT NULL,
	"terms_url" text,
	"can_manage_audiences" boolean NOT NULL,
	"tier" text,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"lost_at" timestamp with time zone,
	CONSTRAINT "account_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "connection" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"destination" text NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"status_code" text,
	"status_detail" text,
	"status_since" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text NOT NULL,
	"subject" text,
	"granted_scopes" text[] DEFAULT '{}' NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"checked_at" timestamp with time zone,
	"accounts_at" timestamp with time zone,
	"deleted_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "connection_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "credential" (
	"tenant_id" uuid NOT NULL,
	"connection_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"access_token" text NOT NULL,
	"refresh_token" text,
	"expires_at" timestamp with time zone,
	"renew_at" timestamp with time zone,
	"credential_version" integer NOT NULL,
	"refresh_started_at" timestamp with time zone,
	"refresh_failed_at" timestamp with time zone,
	"doubted_at" timestamp with time zone,
	CONSTRAINT "credential_tenant_id_connection_id_pk" PRIMARY KEY("tenant_id","connection_id")
);
--> statement-breakpoint
CREATE TABLE "default_account" (
	"tenant_id" uuid NOT NULL,
	"destination" text NOT NULL,
	"scope" text NOT NULL,
	"value" text DEFAULT '' NOT NULL,
	"account_id" uuid NOT NULL,
	CONSTRAINT "default_account_tenant_id_destination_scope_value_pk" PRIMARY KEY("tenant_id","destination","scope","value")
);
--> statement-breakpoint
CREATE TABLE "oauth_state" (
	"state_hash" "bytea" PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"connection_id" uuid NOT NULL,
	"user_id" text NOT NULL,
	"destination" text NOT NULL,
	"redirect_uri" text NOT NULL,
	"return_url" text NOT NULL,
	"verifier" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"used_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "account" ADD CONSTRAINT "account_tenant_id_connection_id_connection_tenant_id_id_fk" FOREIGN KEY ("tenant_id","connection_id") REFERENCES "public"."connection"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "credential" ADD CONSTRAINT "credential_tenant_id_connection_id_connection_tenant_id_id_fk" FOREIGN KEY ("tenant_id","connection_id") REFERENCES "public"."connection"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "default_account" ADD CONSTRAINT "default_account_tenant_id_account_id_account_tenant_id_id_fk" FOREIGN KEY ("tenant_id","account_id") REFERENCES "public"."account"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "oauth_state" ADD CONSTRAINT "oauth_state_tenant_id_connection_id_connection_tenant_id_id_fk" FOREIGN KEY ("tenant_id","connection_id") REFERENCES "public"."connection"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "account_external" ON "account" USING btree ("tenant_id","connection_id","external_id");--> statement-breakpoint
CREATE INDEX "account_by_external" ON "account" USING btree ("tenant_id","destination","external_id");--> statement-breakpoint
CREATE INDEX "connection_deleting" ON "connection" USING btree ("deleted_at") WHERE deleted_at IS NOT NULL AND revoked_at IS NULL;--> statement-breakpoint
CREATE INDEX "credential_due" ON "credential" USING btree ("renew_at");--> statement-breakpoint
CREATE INDEX "oauth_state_age" ON "oauth_state" USING btree ("tenant_id","created_at");