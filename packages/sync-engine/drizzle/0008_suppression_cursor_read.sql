-- Nothing of an erasure is proven before each connector has read of it. A position says nothing of anybody.
CREATE POLICY read_position ON suppression_cursor FOR SELECT TO audiences USING (true);
--> statement-breakpoint
GRANT SELECT ON suppression_cursor TO audiences;
