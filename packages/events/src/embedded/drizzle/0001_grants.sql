-- The relay appends and sweeps; services read, and remember where they stand. Tenants are in the headers, as on Kafka.
GRANT USAGE ON SCHEMA bus TO relay, gateway, connections, behavior_export, audiences, connector, scheduler;--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON log TO relay;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON head TO relay;--> statement-breakpoint
GRANT SELECT ON log, head TO gateway, connections, behavior_export, audiences, connector, scheduler;--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON consumer_offset TO gateway, connections, behavior_export, audiences, connector, scheduler;
