-- Supernets that are imported: a job of a kind of its own, and a supernet without a data set.
CREATE TABLE new_jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('dataset', 'train', 'evaluate', 'search', 'export', 'table', 'import')),
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

CREATE TABLE new_supernets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    space TEXT NOT NULL,
    space_fingerprint TEXT NOT NULL REFERENCES space_documents (fingerprint),
    dataset TEXT REFERENCES datasets (id), -- NULL: imported without one
    state TEXT NOT NULL CHECK (state IN ('importing', 'training', 'ready', 'failed', 'canceled')),
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
INSERT INTO new_supernets SELECT id, name, space, space_fingerprint, dataset, state, step, epoch, images, top1_largest,
    top1_smallest, checkpoint, job, train, created_us FROM supernets;
DROP TABLE supernets;
ALTER TABLE new_supernets RENAME TO supernets;
CREATE INDEX supernets_dataset ON supernets (dataset);
