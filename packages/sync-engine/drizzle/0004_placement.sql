-- The gap after the last call of a quota that is nearly used up; and since when a run that made room for others waits for its next turn.
ALTER TABLE quota ADD COLUMN paced_until timestamptz;
--> statement-breakpoint
ALTER TABLE run ADD COLUMN gave_way_at timestamptz;
