-- The log says who changed, and nothing of how they stand: a transaction that began to write later may have written to a customer
-- first, so the last entry of a customer need not be the newest. Readers take each customer as they stand.
ALTER TABLE change_log DROP COLUMN member, DROP COLUMN purposes, DROP COLUMN groups, DROP COLUMN fingerprints;
