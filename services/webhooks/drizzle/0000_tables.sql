CREATE TABLE "attempt" (
	"tenant_id" uuid NOT NULL,
	"delivery_id" uuid NOT NULL,
	"n" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"duration_ms" integer NOT NULL,
	"status" integer,
	"error" text,
	"response" text NOT NULL,
	CONSTRAINT "attempt_tenant_id_delivery_id_n_pk" PRIMARY KEY("tenant_id","delivery_id","n")
);
--> statement-breakpoint
CREATE TABLE "connection_status" (
	"tenant_id" uuid NOT NULL,
	"connection_id" text NOT NULL,
	"status" text NOT NULL,
	CONSTRAINT "connection_status_tenant_id_connection_id_pk" PRIMARY KEY("tenant_id","connection_id")
);
--> statement-breakpoint
CREATE TABLE "delivery" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"endpoint_id" uuid NOT NULL,
	"event_id" text NOT NULL,
	"state" text NOT NULL,
	"tries" integer DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone,
	CONSTRAINT "delivery_tenant_id_id_pk" PRIMARY KEY("tenant_id","id"),
	CONSTRAINT "delivery_once" UNIQUE("tenant_id","endpoint_id","event_id")
);
--> statement-breakpoint
CREATE TABLE "endpoint" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"url" text NOT NULL,
	"description" text NOT NULL,
	"event_types" text[],
	"status" text DEFAULT 'enabled' NOT NULL,
	"status_code" text,
	"status_since" timestamp with time zone DEFAULT now() NOT NULL,
	"secret" text NOT NULL,
	"old_secret" text,
	"old_secret_until" timestamp with time zone,
	"failing_since" timestamp with time zone,
	"throttled_until" timestamp with time zone,
	"due_at" timestamp with time zone,
	"lease" uuid,
	"lease_until" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "endpoint_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "event" (
	"tenant_id" uuid NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"body" text NOT NULL,
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "event_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "event_tenant_id_id_pk" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
ALTER TABLE "attempt" ADD CONSTRAINT "attempt_tenant_id_delivery_id_delivery_tenant_id_id_fk" FOREIGN KEY ("tenant_id","delivery_id") REFERENCES "public"."delivery"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_tenant_id_endpoint_id_endpoint_tenant_id_id_fk" FOREIGN KEY ("tenant_id","endpoint_id") REFERENCES "public"."endpoint"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_tenant_id_event_id_event_tenant_id_id_fk" FOREIGN KEY ("tenant_id","event_id") REFERENCES "public"."event"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "delivery_due" ON "delivery" USING btree ("tenant_id","endpoint_id","next_at") WHERE state = 'waiting';--> statement-breakpoint
CREATE INDEX "delivery_list" ON "delivery" USING btree ("tenant_id","endpoint_id","id");--> statement-breakpoint
CREATE INDEX "delivery_event" ON "delivery" USING btree ("tenant_id","event_id");--> statement-breakpoint
CREATE INDEX "endpoint_due" ON "endpoint" USING btree ("due_at") WHERE status = 'enabled' AND due_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "event_position" ON "event" USING btree ("tenant_id","xid","seq");--> statement-breakpoint
CREATE INDEX "event_age" ON "event" USING btree ("created_at");