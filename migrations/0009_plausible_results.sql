-- What a board tells is held against what can be: results that cannot be true are kept apart, and late ones said to be late.
ALTER TABLE results ADD COLUMN late INTEGER NOT NULL DEFAULT 0; -- 1: its lease had ended
ALTER TABLE results ADD COLUMN doubt TEXT; -- why it cannot be true: a name of devices/plausible.h; NULL: it can
ALTER TABLE devices ADD COLUMN doubt TEXT; -- of the last such result since a person released the board; NULL: none
ALTER TABLE devices ADD COLUMN doubt_why TEXT;
ALTER TABLE devices ADD COLUMN doubt_us INTEGER; -- when
ALTER TABLE devices ADD COLUMN doubts INTEGER NOT NULL DEFAULT 0; -- how many since then
ALTER TABLE profile_revisions ADD COLUMN reference_us REAL; -- the shortest time that its reference network took
