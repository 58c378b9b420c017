DROP INDEX "erasure_pending";--> statement-breakpoint
ALTER TABLE "erasure" ADD COLUMN "proof" text;--> statement-breakpoint
ALTER TABLE "erasure" ADD COLUMN "chain_seq" bigint;--> statement-breakpoint
ALTER TABLE "erasure" ADD COLUMN "chain_hash" "bytea";--> statement-breakpoint
CREATE INDEX "erasure_unproven" ON "erasure" USING btree ("id") WHERE proof IS NULL;--> statement-breakpoint
CREATE INDEX "erasure_unchained" ON "erasure" USING btree ("id") WHERE proof IS NOT NULL AND chain_seq IS NULL;