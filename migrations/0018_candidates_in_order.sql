-- Candidates lie in the order in which they come: a page holds three of them, and their ids are random, so a table in the
-- order of ids had every page of a large search written again with each generation.
CREATE TABLE new_candidates (
    search TEXT NOT NULL REFERENCES searches (id) ON DELETE CASCADE,
    strategy TEXT NOT NULL,
    arch_id TEXT NOT NULL,
    arch TEXT NOT NULL,
    generation INTEGER NOT NULL,
    feasible INTEGER NOT NULL,
    on_front INTEGER NOT NULL DEFAULT 0,
    metrics TEXT NOT NULL,
    predicted TEXT NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (search, arch_id, strategy)
) STRICT;
INSERT INTO new_candidates (search, strategy, arch_id, arch, generation, feasible, on_front, metrics, predicted, revision)
    SELECT search, strategy, arch_id, arch, generation, feasible, on_front, metrics, predicted, revision FROM candidates
    ORDER BY search, revision;
DROP TABLE candidates;
ALTER TABLE new_candidates RENAME TO candidates;
CREATE INDEX candidates_front ON candidates (search, arch_id) WHERE on_front;
CREATE UNIQUE INDEX candidates_revision ON candidates (search, revision);
