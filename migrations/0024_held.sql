-- What a person paused stays paused: its process ends, and none begins until it is released.
ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
