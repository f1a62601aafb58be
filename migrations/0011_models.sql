-- Latency models and accuracy predictors of other programs, and searches that need no supernet because of them.
CREATE TABLE models (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('latency', 'accuracy')),
    space TEXT NOT NULL,
    space_fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    source TEXT NOT NULL, -- file or folder that it was read from
    state TEXT NOT NULL CHECK (state IN ('importing', 'ready', 'failed', 'canceled')),
    summary TEXT, -- what the import found
    job TEXT,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE model_sections (
    model TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    resolution INTEGER NOT NULL, -- pixels a side
    data TEXT NOT NULL, -- of a latency model: the table
    PRIMARY KEY (model, resolution)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('dataset', 'train', 'evaluate', 'search', 'export', 'table', 'import', 'model',
        'results')),
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
INSERT INTO new_jobs SELECT id, kind, state, subject, priority, spec, attempt, crashes, acked_seq, result, error,
    created_us, started_us, ended_us FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_state ON jobs (state, priority DESC, id);
CREATE INDEX jobs_subject ON jobs (subject);

CREATE TABLE new_searches (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    supernet TEXT REFERENCES supernets (id), -- NULL: accuracy comes from an imported predictor, or the results did
    space TEXT NOT NULL,
    space_fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'canceled')),
    stage TEXT,
    body TEXT NOT NULL,
    evaluations_done INTEGER NOT NULL DEFAULT 0,
    front_version INTEGER NOT NULL DEFAULT 0,
    predictor TEXT,
    result TEXT,
    job TEXT,
    created_us INTEGER NOT NULL,
    checkpoint TEXT -- hash of the weights that its subnets were scored by
) STRICT, WITHOUT ROWID;
INSERT INTO new_searches SELECT s.id, s.name, s.supernet, n.space, n.space_fingerprint, s.state, s.stage, s.body,
    s.evaluations_done, s.front_version, s.predictor, s.result, s.job, s.created_us, s.checkpoint
    FROM searches s JOIN supernets n ON n.id = s.supernet;
DROP TABLE searches;
ALTER TABLE new_searches RENAME TO searches;
CREATE INDEX searches_supernet ON searches (supernet);

-- Which models a search takes its latencies and accuracies from: they stay as long as it does.
CREATE TABLE search_models (
    search TEXT NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    model TEXT NOT NULL REFERENCES models (id),
    PRIMARY KEY (search, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX search_models_model ON search_models (model);
