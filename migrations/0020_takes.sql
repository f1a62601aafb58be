-- A network that a search calls measured was measured twice: takes of one measurement are told apart.
ALTER TABLE measurements ADD COLUMN take INTEGER NOT NULL DEFAULT 1;
DROP INDEX measurements_identity;
CREATE UNIQUE INDEX measurements_identity ON measurements (profile_revision, graph_id, method, take)
    WHERE state IN ('queued', 'leased', 'running', 'accepted') AND (kind <> 'reference' OR state <> 'accepted');
