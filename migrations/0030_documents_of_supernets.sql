-- The space that a supernet was made from, adapted to its data set: one of another name, or with other names of stages, may
-- have the same fingerprint. NULL: from before this, found by the fingerprint.
ALTER TABLE supernets ADD COLUMN document TEXT;
