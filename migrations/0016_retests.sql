-- Boards that are drained or under maintenance, quarantines that end by retests, and leases that know their own order.
CREATE TABLE new_devices (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'draining', 'paused', 'quarantined', 'maintenance')), -- a person's word
    health TEXT NOT NULL CHECK (health IN ('probation', 'good', 'suspect', 'quarantined', 'maintenance')),
    health_counts TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    fingerprint TEXT NOT NULL,
    worker_version TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    local INTEGER NOT NULL,
    noise REAL,
    last_seen_us INTEGER NOT NULL,
    away_us INTEGER,
    removed_us INTEGER,
    created_us INTEGER NOT NULL,
    instance TEXT,
    refused_us INTEGER,
    refused_why TEXT,
    allowed INTEGER NOT NULL DEFAULT 0,
    rotate INTEGER NOT NULL DEFAULT 0,
    doubt TEXT,
    doubt_why TEXT,
    doubt_us INTEGER,
    doubts INTEGER NOT NULL DEFAULT 0,
    host TEXT,
    retest_us INTEGER -- of a quarantined board: when the reference network is to be measured next
) STRICT, WITHOUT ROWID;
INSERT INTO new_devices SELECT id, name, machine_id, state, health, health_counts, note, fingerprint, worker_version, epoch,
    local, noise, last_seen_us, away_us, removed_us, created_us, instance, refused_us, refused_why, allowed, rotate, doubt,
    doubt_why, doubt_us, doubts, host, CASE WHEN health = 'quarantined' AND state = 'active' THEN 0 END FROM devices;
DROP TABLE devices;
ALTER TABLE new_devices RENAME TO devices;
CREATE INDEX devices_host ON devices (host) WHERE host IS NOT NULL;
CREATE INDEX devices_local ON devices (id) WHERE local = 1;
CREATE UNIQUE INDEX devices_machine ON devices (machine_id) WHERE removed_us IS NULL;
CREATE UNIQUE INDEX devices_name ON devices (name) WHERE removed_us IS NULL;
CREATE INDEX devices_retest ON devices (retest_us) WHERE retest_us IS NOT NULL;

ALTER TABLE lease_items ADD COLUMN position INTEGER NOT NULL DEFAULT 0; -- in which the board works through them
CREATE INDEX results_failed ON results (id) WHERE status NOT IN ('ok', 'noisy') OR doubt IS NOT NULL;
