GRANT USAGE ON SCHEMA bus TO webhooks;--> statement-breakpoint
GRANT SELECT ON log, head TO webhooks;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON consumer_offset TO webhooks;
