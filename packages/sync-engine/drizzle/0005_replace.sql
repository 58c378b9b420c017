-- The platform refused to make the audience any smaller: why, until nobody waits for it any more.
ALTER TABLE audience ADD COLUMN shrink_refused jsonb;
--> statement-breakpoint
-- A replacement of the whole list that is under way.
ALTER TABLE audience ADD COLUMN replacing jsonb;
--> statement-breakpoint
-- list: adds to, or removes from, the audience. account: removes from every audience of the account. replace: one part of a new list.
ALTER TABLE batch ADD COLUMN manner text NOT NULL DEFAULT 'list';
--> statement-breakpoint
-- Of a removal that another audience's call did for this one, too: the batch of that call.
ALTER TABLE batch ADD COLUMN shared_call bigint;
--> statement-breakpoint
-- Which calls removed whom for privacy: the proof. Rows of other audiences than the batch's are those that an account-wide call took
-- along: held_digest is of the sealed ledger row that it saw.
CREATE TABLE privacy_removal (
  batch_no bigint NOT NULL,
  customer_no bigint NOT NULL,
  audience_no integer NOT NULL,
  tenant_no integer NOT NULL,
  destination_no smallint NOT NULL,
  held_digest bytea,
  CONSTRAINT privacy_removal_batch_no_audience_no_customer_no_pk PRIMARY KEY (batch_no, audience_no, customer_no)
);
--> statement-breakpoint
CREATE INDEX privacy_removal_of_person ON privacy_removal (customer_no);
--> statement-breakpoint
ALTER TABLE privacy_removal ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE privacy_removal FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON privacy_removal TO audiences USING (tenant_no = (SELECT current_tenant_no())) WITH CHECK (tenant_no = (SELECT current_tenant_no()));
--> statement-breakpoint
CREATE POLICY destination ON privacy_removal TO connector USING (destination_no = (SELECT own_destination_no())) WITH CHECK (destination_no = (SELECT own_destination_no()));
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON privacy_removal TO connector;
--> statement-breakpoint
GRANT SELECT ON privacy_removal TO audiences;
