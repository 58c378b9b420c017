CREATE TABLE "audience" (
	"no" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audience_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"id" uuid NOT NULL,
	"tenant_id" uuid NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination" text NOT NULL,
	"destination_no" smallint NOT NULL,
	"behavior_id" uuid NOT NULL,
	"connection_id" uuid NOT NULL,
	"account_id" uuid NOT NULL,
	"account_external_id" text NOT NULL,
	"name" text NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"purpose" text NOT NULL,
	"campaign_ref" text,
	"schedule" jsonb NOT NULL,
	"identifiers" text[] NOT NULL,
	"transformations" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"retry_policy" jsonb NOT NULL,
	"brake" jsonb NOT NULL,
	"minimum_size" integer NOT NULL,
	"settings" jsonb NOT NULL,
	"default_country" text,
	"config_version" integer DEFAULT 1 NOT NULL,
	"external_id" text,
	"far_stale" boolean DEFAULT false NOT NULL,
	"adopted" boolean DEFAULT false NOT NULL,
	"generation" smallint DEFAULT 1 NOT NULL,
	"cursor_epoch" text,
	"cursor" text DEFAULT '0:0' NOT NULL,
	"full_reason" text DEFAULT 'first_run',
	"status" text NOT NULL,
	"status_reason" jsonb,
	"status_since" timestamp with time zone DEFAULT now() NOT NULL,
	"paused_at" timestamp with time zone,
	"pause_reason" jsonb,
	"delete_requested_at" timestamp with time zone,
	"keep_remote" boolean DEFAULT false NOT NULL,
	"deleted_at" timestamp with time zone,
	"too_small" boolean DEFAULT false NOT NULL,
	"size_behavior" integer,
	"size_eligible" integer,
	"size_destination" integer,
	"size_as_of" timestamp with time zone,
	"settle_at" timestamp with time zone,
	"lease_owner" text,
	"lease_epoch" bigint DEFAULT 0 NOT NULL,
	"lease_until" timestamp with time zone,
	"next_run_at" timestamp with time zone,
	"tag_key" "bytea",
	"version" bigint DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "audience_id_unique" UNIQUE("id"),
	CONSTRAINT "audience_of_tenant" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "batch" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "batch_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"id" uuid NOT NULL,
	"tenant_id" uuid NOT NULL,
	"run_no" bigint NOT NULL,
	"audience_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"generation" smallint NOT NULL,
	"operation" text NOT NULL,
	"lane" text DEFAULT '' NOT NULL,
	"session_id" bigint,
	"session_seq" integer,
	"session_last" boolean DEFAULT false NOT NULL,
	"rows" integer NOT NULL,
	"added" integer DEFAULT 0 NOT NULL,
	"removed" integer DEFAULT 0 NOT NULL,
	"replaced" integer DEFAULT 0 NOT NULL,
	"state" text DEFAULT 'planned' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"sha256" "bytea",
	"suppressions_at" text NOT NULL,
	"fetched_at" timestamp with time zone NOT NULL,
	"sent_at" timestamp with time zone,
	"accepted_at" timestamp with time zone,
	"platform_accepted_at" timestamp with time zone,
	"applied_at" timestamp with time zone,
	"confirmed" boolean DEFAULT true NOT NULL,
	"receipt" jsonb,
	"failure" jsonb,
	"braked" integer DEFAULT 0 NOT NULL,
	"rejected_added" integer DEFAULT 0 NOT NULL,
	"rejected_removed" integer DEFAULT 0 NOT NULL,
	"rejected_replaced" integer DEFAULT 0 NOT NULL,
	"unnamed_rejections" integer DEFAULT 0 NOT NULL,
	"repeat" boolean DEFAULT false NOT NULL,
	CONSTRAINT "batch_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "batch_payload" (
	"batch_no" bigint PRIMARY KEY NOT NULL,
	"destination_no" smallint NOT NULL,
	"tenant_no" integer NOT NULL,
	"payload" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "call" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "call_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"destination_no" smallint NOT NULL,
	"audience_no" integer NOT NULL,
	"run_no" bigint,
	"batch_no" bigint,
	"method" text NOT NULL,
	"path" text NOT NULL,
	"status" smallint,
	"duration_ms" integer NOT NULL,
	"request" jsonb,
	"response" jsonb,
	"platform_request_id" text,
	"trace_id" text,
	"started_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "destination" (
	"no" smallint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "destination_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 32767 START WITH 1 CACHE 1),
	"id" text NOT NULL,
	CONSTRAINT "destination_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "history" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "history_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"destination_no" smallint NOT NULL,
	"audience_no" integer NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"kind" text NOT NULL,
	"data" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ledger" (
	"customer_no" bigint NOT NULL,
	"fingerprint" bigint NOT NULL,
	"add_batch" bigint NOT NULL,
	"remove_batch" bigint,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"config_version" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"generation" smallint NOT NULL,
	"normaliser" smallint NOT NULL,
	"held" "bytea" NOT NULL,
	CONSTRAINT "ledger_audience_no_customer_no_pk" PRIMARY KEY("audience_no","customer_no")
);
--> statement-breakpoint
CREATE TABLE "ledger_tag" (
	"tag" bigint NOT NULL,
	"customer_no" bigint NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	CONSTRAINT "ledger_tag_audience_no_tag_customer_no_pk" PRIMARY KEY("audience_no","tag","customer_no")
);
--> statement-breakpoint
CREATE TABLE "quota" (
	"destination_no" smallint NOT NULL,
	"quota" text NOT NULL,
	"scope" text NOT NULL,
	"capacity" double precision NOT NULL,
	"level" double precision DEFAULT 0 NOT NULL,
	"as_of" timestamp with time zone DEFAULT now() NOT NULL,
	"percent" double precision,
	"low" boolean DEFAULT false NOT NULL,
	"blocked_until" timestamp with time zone,
	"tier" text,
	CONSTRAINT "quota_destination_no_quota_scope_pk" PRIMARY KEY("destination_no","quota","scope")
);
--> statement-breakpoint
CREATE TABLE "rejection" (
	"run_no" bigint NOT NULL,
	"customer_no" bigint NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"operation" text NOT NULL,
	"batch_no" bigint,
	"code" text NOT NULL,
	"platform" jsonb,
	"attempts" smallint DEFAULT 1 NOT NULL,
	"first_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "rejection_run_no_customer_no_operation_pk" PRIMARY KEY("run_no","customer_no","operation")
);
--> statement-breakpoint
CREATE TABLE "run" (
	"no" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "run_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"id" uuid NOT NULL,
	"tenant_id" uuid NOT NULL,
	"audience_no" integer NOT NULL,
	"destination" text NOT NULL,
	"destination_no" smallint NOT NULL,
	"trigger" text NOT NULL,
	"mode" text NOT NULL,
	"status" text DEFAULT 'queued' NOT NULL,
	"config_version" integer,
	"config" jsonb,
	"bound" text,
	"follow_up" boolean DEFAULT false NOT NULL,
	"not_before" timestamp with time zone,
	"wait_reason" jsonb,
	"cancel_requested_at" timestamp with time zone,
	"approval" jsonb,
	"hold" jsonb,
	"unchanged" integer DEFAULT 0 NOT NULL,
	"suppressed" integer DEFAULT 0 NOT NULL,
	"suppressed_by" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"expected" integer,
	"api_calls" integer DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" jsonb,
	"traceparent" text,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"accepted_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "run_id_unique" UNIQUE("id"),
	CONSTRAINT "run_of_tenant" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "say_again" (
	"customer_no" bigint NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"times" smallint NOT NULL,
	"after_batch" bigint,
	CONSTRAINT "say_again_audience_no_customer_no_pk" PRIMARY KEY("audience_no","customer_no")
);
--> statement-breakpoint
CREATE TABLE "suppression_cursor" (
	"destination_no" smallint PRIMARY KEY NOT NULL,
	"epoch" text,
	"position" text DEFAULT '0:0' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tenant" (
	"no" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "tenant_no_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"id" uuid NOT NULL,
	CONSTRAINT "tenant_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "todo" (
	"customer_no" bigint NOT NULL,
	"audience_no" integer NOT NULL,
	"tenant_no" integer NOT NULL,
	"destination_no" smallint NOT NULL,
	"reason" text NOT NULL,
	"attempts" smallint DEFAULT 0 NOT NULL,
	"not_before" timestamp with time zone DEFAULT now() NOT NULL,
	"run_no" bigint,
	CONSTRAINT "todo_audience_no_customer_no_pk" PRIMARY KEY("audience_no","customer_no")
);
--> statement-breakpoint
CREATE TABLE "tombstone" (
	"customer_no" bigint NOT NULL,
	"destination_no" smallint NOT NULL,
	"purposes" smallint NOT NULL,
	"xid" bigint NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "tombstone_destination_no_customer_no_pk" PRIMARY KEY("destination_no","customer_no")
);
--> statement-breakpoint
ALTER TABLE "batch" ADD CONSTRAINT "batch_run_no_run_no_fk" FOREIGN KEY ("run_no") REFERENCES "public"."run"("no") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "batch_payload" ADD CONSTRAINT "batch_payload_batch_no_batch_no_fk" FOREIGN KEY ("batch_no") REFERENCES "public"."batch"("no") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_audience_no_audience_no_fk" FOREIGN KEY ("audience_no") REFERENCES "public"."audience"("no") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audience_by_behavior" ON "audience" USING btree ("tenant_id","behavior_id");--> statement-breakpoint
CREATE UNIQUE INDEX "audience_far" ON "audience" USING btree ("account_id","external_id") WHERE deleted_at IS NULL AND external_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audience_to_settle" ON "audience" USING btree ("destination_no","settle_at") WHERE settle_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "batch_of_run" ON "batch" USING btree ("run_no");--> statement-breakpoint
CREATE INDEX "batch_exception" ON "batch" USING btree ("audience_no") WHERE state NOT IN ('accepted', 'applied', 'split');--> statement-breakpoint
CREATE INDEX "batch_to_settle" ON "batch" USING btree ("audience_no") WHERE state = 'accepted';--> statement-breakpoint
CREATE INDEX "call_of_run" ON "call" USING btree ("run_no","no");--> statement-breakpoint
CREATE INDEX "call_by_time" ON "call" USING btree ("started_at");--> statement-breakpoint
CREATE INDEX "history_of_audience" ON "history" USING btree ("audience_no","no");--> statement-breakpoint
CREATE INDEX "ledger_by_customer" ON "ledger" USING btree ("customer_no");--> statement-breakpoint
CREATE INDEX "ledger_removed" ON "ledger" USING btree ("remove_batch") WHERE remove_batch IS NOT NULL;--> statement-breakpoint
CREATE INDEX "rejection_of_person" ON "rejection" USING btree ("audience_no","customer_no");--> statement-breakpoint
CREATE UNIQUE INDEX "one_live_run" ON "run" USING btree ("audience_no") WHERE status IN ('running', 'waiting', 'held') AND trigger <> 'privacy';--> statement-breakpoint
CREATE UNIQUE INDEX "one_queued_run" ON "run" USING btree ("audience_no") WHERE status = 'queued' AND trigger <> 'privacy';--> statement-breakpoint
CREATE UNIQUE INDEX "one_privacy_run" ON "run" USING btree ("audience_no") WHERE status IN ('queued', 'running', 'waiting') AND trigger = 'privacy';--> statement-breakpoint
CREATE INDEX "run_open" ON "run" USING btree ("destination_no","not_before") WHERE status IN ('queued', 'running', 'waiting', 'applying');--> statement-breakpoint
CREATE INDEX "run_of_audience" ON "run" USING btree ("audience_no","no" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "say_again_due" ON "say_again" USING btree ("destination_no","due_at");