-- Jobs of kind 'calibrate': the most useful networks of a space are measured on a board, and a calibration is fitted.
CREATE TABLE new_jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('dataset', 'train', 'evaluate', 'estimate', 'search', 'export', 'table', 'import',
        'model', 'results', 'calibrate')),
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
    ended_us INTEGER,
    held INTEGER NOT NULL DEFAULT 0 -- paused by a person
) STRICT, WITHOUT ROWID;
INSERT INTO new_jobs SELECT id, kind, state, subject, priority, spec, attempt, crashes, acked_seq, result, error,
    created_us, started_us, ended_us, held FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_state ON jobs (state, priority DESC, id);
CREATE INDEX jobs_subject ON jobs (subject);
CREATE INDEX jobs_not_over ON jobs (id) WHERE state NOT IN ('done', 'failed', 'canceled');
