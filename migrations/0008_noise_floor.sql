-- A noise floor can be measured again: it belongs to an environment, with what later reference runs say of it.
ALTER TABLE profile_revisions ADD COLUMN noise REAL; -- NULL: not measured yet
ALTER TABLE profile_revisions ADD COLUMN noise_us INTEGER; -- when
ALTER TABLE profile_revisions ADD COLUMN noise_doubt TEXT CHECK (noise_doubt IN ('implausible', 'above_references')); -- NULL: none
ALTER TABLE profile_revisions ADD COLUMN noise_tries INTEGER NOT NULL DEFAULT 0; -- measured again by the daemon itself, in a row
ALTER TABLE profile_revisions ADD COLUMN noise_next_us INTEGER NOT NULL DEFAULT 0; -- not again before
ALTER TABLE profile_revisions ADD COLUMN drift REAL NOT NULL DEFAULT 0; -- moving average of |after - before| / before of the reference network
ALTER TABLE profile_revisions ADD COLUMN drifts INTEGER NOT NULL DEFAULT 0; -- that it is made of
UPDATE profile_revisions SET noise = (SELECT p.noise FROM profiles p WHERE p.revision = profile_revisions.id);
UPDATE profile_revisions SET noise_doubt = 'implausible' WHERE noise > 0.5;
DROP INDEX measurements_identity;
-- One measurement for each (profile revision, graph, method), unless it failed or was canceled, or is one of the noise floor that ended.
CREATE UNIQUE INDEX measurements_identity ON measurements (profile_revision, graph_id, method)
    WHERE state IN ('queued', 'leased', 'running', 'accepted') AND (kind <> 'reference' OR state <> 'accepted');
