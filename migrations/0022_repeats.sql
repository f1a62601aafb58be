ALTER TABLE measurements ADD COLUMN repeats TEXT REFERENCES measurements (id); -- a table's entry that this one takes again; NULL: it does not
ALTER TABLE measurements ADD COLUMN why TEXT CHECK (why IN ('noisy', 'old')); -- it was taken again
ALTER TABLE measurements ADD COLUMN aside INTEGER NOT NULL DEFAULT 0; -- another one stands for its network
DROP INDEX measurements_identity;
CREATE UNIQUE INDEX measurements_identity ON measurements (profile_revision, graph_id, method, take) WHERE state IN ('queued', 'leased', 'running', 'accepted') AND (kind <> 'reference' OR state <> 'accepted') AND aside = 0;
CREATE INDEX measurements_repeats_open ON measurements (repeats) WHERE repeats IS NOT NULL AND state IN ('queued', 'leased', 'running');
CREATE INDEX measurements_repeats ON measurements (profile_revision, graph_id) WHERE repeats IS NOT NULL;
