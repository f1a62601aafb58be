-- Ids are prefixed and sort by time of creation; *_us are microseconds (of time or duration);
-- JSON texts are canonical documents that the program wrote itself.

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- the id of the server-sent event
    at_us INTEGER NOT NULL,
    topic TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;

-- Every step of every state machine, for people who ask why.
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    machine TEXT NOT NULL CHECK (machine IN ('job', 'measurement', 'lease', 'health')),
    subject TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX transitions_subject ON transitions (subject, id);

CREATE TABLE idempotency_keys (
    key TEXT NOT NULL,
    route TEXT NOT NULL, -- method and path
    body_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (key, route)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_us);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('dataset', 'train', 'evaluate', 'search', 'export', 'table')),
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'paused', 'canceling', 'done', 'failed', 'canceled')),
    subject TEXT NOT NULL, -- id of the resource that the job works on
    priority INTEGER NOT NULL DEFAULT 0,
    spec TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, -- of the newest process; fences the events of older ones
    crashes INTEGER NOT NULL DEFAULT 0, -- ends that were neither success, failure nor our doing
    acked_seq INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT, -- {code, message, pointer}
    created_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_state ON jobs (state, priority DESC, id);
CREATE INDEX jobs_subject ON jobs (subject);

CREATE TABLE job_attempts (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    reason TEXT, -- why it ended
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE datasets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    format TEXT, -- NULL: found by looking
    validation INTEGER NOT NULL,
    split_seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('checking', 'ready', 'failed')),
    error TEXT,
    channels INTEGER,
    height INTEGER,
    width INTEGER,
    n_classes INTEGER,
    n_train INTEGER,
    n_validation INTEGER,
    n_test INTEGER,
    revision TEXT,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whole documents by fingerprint: what was trained or measured stays readable when a name is given
-- to another space or a later program has another built-in one.
CREATE TABLE space_documents (
    fingerprint TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces ( -- posted ones; the built-in ones are in the program
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE supernets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    space TEXT NOT NULL,
    space_fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    dataset TEXT NOT NULL REFERENCES datasets (id),
    state TEXT NOT NULL CHECK (state IN ('training', 'ready', 'failed', 'canceled')),
    step INTEGER NOT NULL DEFAULT 0,
    epoch REAL NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0,
    top1_largest REAL,
    top1_smallest REAL,
    checkpoint TEXT,
    job TEXT,
    train TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX supernets_dataset ON supernets (dataset);

CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY,
    supernet TEXT NOT NULL REFERENCES supernets (id) ON DELETE CASCADE,
    path TEXT NOT NULL, -- relative to the supernet's folder
    step INTEGER NOT NULL,
    epoch REAL NOT NULL,
    bytes INTEGER NOT NULL,
    hash TEXT NOT NULL,
    top1_largest REAL,
    top1_smallest REAL,
    created_us INTEGER NOT NULL,
    UNIQUE (supernet, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
    supernet TEXT NOT NULL REFERENCES supernets (id) ON DELETE CASCADE,
    series TEXT NOT NULL,
    step INTEGER NOT NULL,
    epoch REAL NOT NULL,
    value REAL, -- NULL: not a number
    PRIMARY KEY (supernet, series, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    supernet TEXT NOT NULL REFERENCES supernets (id) ON DELETE CASCADE,
    checkpoint TEXT NOT NULL, -- hash
    arch_id TEXT NOT NULL,
    split TEXT NOT NULL,
    dataset_revision TEXT NOT NULL,
    recalibration_images INTEGER NOT NULL,
    data TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (supernet, checkpoint, arch_id, split, dataset_revision, recalibration_images)
) STRICT;

CREATE TABLE searches (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    supernet TEXT NOT NULL REFERENCES supernets (id),
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'canceled')),
    stage TEXT,
    body TEXT NOT NULL, -- the request after defaults were filled in
    evaluations_done INTEGER NOT NULL DEFAULT 0,
    front_version INTEGER NOT NULL DEFAULT 0,
    predictor TEXT,
    result TEXT,
    job TEXT,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX searches_supernet ON searches (supernet);

CREATE TABLE candidates (
    search TEXT NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    strategy TEXT NOT NULL,
    arch_id TEXT NOT NULL,
    arch TEXT NOT NULL,
    generation INTEGER NOT NULL,
    feasible INTEGER NOT NULL,
    on_front INTEGER NOT NULL DEFAULT 0,
    metrics TEXT NOT NULL,   -- metric key -> {value, low, high, source}
    predicted TEXT NOT NULL, -- the same: what was predicted before it was evaluated or measured
    revision INTEGER NOT NULL, -- grows with every change of a row of this search: the cursor
    PRIMARY KEY (search, arch_id, strategy)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX candidates_revision ON candidates (search, revision);
CREATE INDEX candidates_front ON candidates (search, arch_id) WHERE on_front;

CREATE TABLE generations (
    search TEXT NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    strategy TEXT NOT NULL,
    generation INTEGER NOT NULL,
    evaluations INTEGER NOT NULL,
    hypervolume REAL,
    front_size INTEGER NOT NULL,
    feasible INTEGER NOT NULL,
    PRIMARY KEY (search, strategy, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE fronts (
    search TEXT NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    stage TEXT NOT NULL,
    hypervolume REAL,
    calibration_version INTEGER,
    reference_point TEXT NOT NULL,
    arch_ids TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (search, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    supernet TEXT NOT NULL REFERENCES supernets (id),
    arch TEXT NOT NULL,
    arch_id TEXT NOT NULL,
    format TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'ready', 'failed', 'canceled')),
    path TEXT, -- relative to the data folder
    bytes INTEGER,
    hash TEXT,
    checked INTEGER,
    job TEXT,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX exports_supernet ON exports (supernet);

CREATE TABLE devices ( -- a removed board keeps its row: its measurements outlive it
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'quarantined')),
    health TEXT NOT NULL CHECK (health IN ('probation', 'good', 'suspect', 'quarantined')),
    health_counts TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    fingerprint TEXT NOT NULL,
    worker_version TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    local INTEGER NOT NULL,
    noise REAL,
    last_seen_us INTEGER NOT NULL,
    away_us INTEGER, -- since when it is known to have gone; NULL: it is there, or nobody knows
    removed_us INTEGER,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX devices_name ON devices (name) WHERE removed_us IS NULL;
CREATE UNIQUE INDEX devices_machine ON devices (machine_id) WHERE removed_us IS NULL;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('enrolment', 'api', 'worker')),
    hash TEXT NOT NULL UNIQUE, -- of the secret, which is nowhere stored
    label TEXT NOT NULL,
    device TEXT REFERENCES devices (id),
    uses_left INTEGER, -- NULL: without end
    expires_us INTEGER,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profiles (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices (id),
    name TEXT NOT NULL UNIQUE,
    runtime TEXT NOT NULL,
    precision TEXT NOT NULL,
    threads INTEGER NOT NULL,
    cores TEXT NOT NULL,
    governor TEXT NOT NULL,
    noise REAL,
    reference_us TEXT, -- JSON array: samples of the reference network at enrolment
    revision TEXT,
    epoch INTEGER NOT NULL DEFAULT 0, -- of its board, when its worker last brought it
    created_us INTEGER NOT NULL,
    UNIQUE (device, runtime, precision, threads, cores, governor)
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_revisions (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL REFERENCES profiles (id),
    fingerprint TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (profile, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TABLE measurements (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL REFERENCES profiles (id),
    profile_revision TEXT NOT NULL REFERENCES profile_revisions (id),
    kind TEXT NOT NULL CHECK (kind IN ('unit', 'network', 'reference')),
    graph_id TEXT NOT NULL,
    graph TEXT NOT NULL,
    signature TEXT,
    arch TEXT,
    method TEXT NOT NULL,
    seed INTEGER NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'leased', 'running', 'accepted', 'failed', 'canceled')),
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, -- attempts that crashed or were lost
    median_us REAL,
    low_us REAL,
    high_us REAL,
    mean_us REAL,
    sd_us REAL,
    n INTEGER,
    error TEXT, -- {code, message}
    created_us INTEGER NOT NULL,
    finished_us INTEGER
) STRICT, WITHOUT ROWID;
-- One measurement for each (profile revision, graph, method), unless it failed or was canceled.
CREATE UNIQUE INDEX measurements_identity ON measurements (profile_revision, graph_id, method)
    WHERE state IN ('queued', 'leased', 'running', 'accepted');
CREATE INDEX measurements_queue ON measurements (profile, priority DESC, id)
    WHERE state = 'queued';
CREATE INDEX measurements_open ON measurements (profile) WHERE state IN ('leased', 'running');
CREATE INDEX measurements_profile ON measurements (profile, id);

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices (id),
    epoch INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('granted', 'acked', 'closed', 'released', 'expired', 'fenced')),
    expires_us INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    closed_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_open ON leases (device) WHERE state IN ('granted', 'acked');

CREATE TABLE lease_items (
    lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    measurement TEXT NOT NULL REFERENCES measurements (id),
    attempt INTEGER NOT NULL,
    PRIMARY KEY (lease, measurement)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_items_measurement ON lease_items (measurement);

CREATE TABLE results ( -- every answer of a board, also those that another attempt forestalled
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    measurement TEXT NOT NULL REFERENCES measurements (id),
    lease TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    body_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    counted INTEGER NOT NULL, -- 1: decided the measurement's state
    samples BLOB NOT NULL,    -- float64, little endian, microseconds
    data TEXT NOT NULL,       -- the rest of the message
    created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX results_measurement ON results (measurement);

CREATE TABLE measure_requests ( -- what search jobs asked for
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    request INTEGER NOT NULL,
    measurement TEXT REFERENCES measurements (id),
    error TEXT, -- why none was made
    PRIMARY KEY (job, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX measure_requests_measurement ON measure_requests (measurement);

CREATE TABLE tables (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL REFERENCES profiles (id),
    profile_revision TEXT NOT NULL REFERENCES profile_revisions (id),
    space TEXT NOT NULL,
    space_fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    method TEXT NOT NULL,
    job TEXT,
    created_us INTEGER NOT NULL,
    UNIQUE (profile_revision, space_fingerprint, method)
) STRICT, WITHOUT ROWID;

CREATE TABLE table_entries (
    table_id TEXT NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
    signature TEXT NOT NULL,
    measurement TEXT NOT NULL REFERENCES measurements (id),
    PRIMARY KEY (table_id, signature)
) STRICT, WITHOUT ROWID;
CREATE INDEX table_entries_measurement ON table_entries (measurement);

CREATE TABLE calibrations (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL REFERENCES profiles (id),
    profile_revision TEXT NOT NULL,
    search TEXT,
    version INTEGER NOT NULL,
    data TEXT NOT NULL, -- the event's data
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calibrations_profile ON calibrations (profile, id);
