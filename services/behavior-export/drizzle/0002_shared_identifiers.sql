DROP INDEX "identifier_tag_by_customer";--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "tags" "bytea" DEFAULT ''::bytea NOT NULL;--> statement-breakpoint
ALTER TABLE "customer" ADD COLUMN "withheld" "bytea" DEFAULT ''::bytea NOT NULL;--> statement-breakpoint
ALTER TABLE "identifier_tag" ADD COLUMN "denies" smallint NOT NULL;--> statement-breakpoint
CREATE INDEX "identifier_tag_denied" ON "identifier_tag" USING btree ("tenant_no","tag","denies") WHERE denies <> 0;