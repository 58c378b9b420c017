CREATE TABLE "consumer_offset" (
	"group" text NOT NULL,
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"next" bigint NOT NULL,
	"committed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "consumer_offset_group_topic_partition_pk" PRIMARY KEY("group","topic","partition")
);
--> statement-breakpoint
CREATE TABLE "head" (
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"next" bigint NOT NULL,
	CONSTRAINT "head_topic_partition_pk" PRIMARY KEY("topic","partition")
);
--> statement-breakpoint
CREATE TABLE "log" (
	"topic" text NOT NULL,
	"partition" integer NOT NULL,
	"seq" bigint NOT NULL,
	"key" text NOT NULL,
	"headers" jsonb NOT NULL,
	"value" "bytea" NOT NULL,
	"appended_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "log_topic_partition_seq_pk" PRIMARY KEY("topic","partition","seq")
);
--> statement-breakpoint
CREATE INDEX "log_appended_at" ON "log" USING btree ("appended_at");