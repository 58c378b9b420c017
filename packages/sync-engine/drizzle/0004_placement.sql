-- Points are counted until they come back: `spent` has [when, in milliseconds since 1970, points], oldest first. Beside it the gap after
-- the last call of a quota that is nearly used up; and since when a run that made room for others waits for its next turn.
ALTER TABLE quota DROP COLUMN level, DROP COLUMN as_of, ADD COLUMN spent jsonb NOT NULL DEFAULT '[]', ADD COLUMN paced_until timestamptz;
--> statement-breakpoint
ALTER TABLE run ADD COLUMN gave_way_at timestamptz;
