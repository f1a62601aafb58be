-- A job that has ended has no progress: it is cleared then, by versions before this one only where it was read.
UPDATE jobs SET progress = NULL WHERE state IN ('done', 'failed', 'canceled') AND progress IS NOT NULL;
