-- For the removal of a revision: foreign keys look from the other side.
CREATE INDEX measurements_revision ON measurements (profile_revision);
