-- Training on writes the checkpoint that it begins with anew, under the same name: a row for each content, not for each name.
CREATE TABLE new_checkpoints (
    id TEXT PRIMARY KEY,
    supernet TEXT NOT NULL REFERENCES supernets (id) ON DELETE CASCADE,
    path TEXT NOT NULL, -- relative to the supernet's folder; the newest row of a path is what lies there
    step INTEGER NOT NULL,
    epoch REAL NOT NULL,
    bytes INTEGER NOT NULL,
    hash TEXT NOT NULL,
    top1_largest REAL,
    top1_smallest REAL,
    created_us INTEGER NOT NULL,
    UNIQUE (supernet, path, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO new_checkpoints SELECT id, supernet, path, step, epoch, bytes, hash, top1_largest, top1_smallest, created_us
    FROM checkpoints;
DROP TABLE checkpoints;
ALTER TABLE new_checkpoints RENAME TO checkpoints;

-- The weights that a search scored its subnets with (hash of the checkpoint): its front is scored and exported by them,
-- also when the supernet is trained on. Of a search that is older than this column, those by which most of its scores came.
ALTER TABLE searches ADD COLUMN checkpoint TEXT;
UPDATE searches SET checkpoint = (
    SELECT e.checkpoint FROM candidates c JOIN evaluations e
        ON e.supernet = searches.supernet AND e.arch_id = c.arch_id AND e.split = 'validation'
        AND json_extract(e.data, '$.top1') = json_extract(c.metrics, '$.top1.value')
    WHERE c.search = searches.id AND json_extract(c.metrics, '$.top1.source') = 'evaluated'
    GROUP BY e.checkpoint ORDER BY count(*) DESC, max(e.id) DESC LIMIT 1);
