-- The removal before a person's addition may be outlasted by an earlier addition: both are said again (SYNC.md C4).
ALTER TABLE say_again ADD COLUMN both_halves boolean NOT NULL DEFAULT false;
