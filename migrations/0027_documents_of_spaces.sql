-- Spaces that differ in their names and descriptions alone have one fingerprint: each keeps what was posted. NULL: posted
-- before this, with the first one's words.
ALTER TABLE spaces ADD COLUMN document TEXT;
