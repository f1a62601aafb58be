-- Several profiles of one board, and several workers on one machine.
ALTER TABLE profiles ADD COLUMN position INTEGER NOT NULL DEFAULT 0; -- among those that its worker offered last: the first is the board's default
ALTER TABLE devices ADD COLUMN host TEXT; -- a word for the machine that its worker runs on, shared by all workers there; NULL: not told, or simulated
CREATE INDEX devices_host ON devices (host) WHERE host IS NOT NULL;
