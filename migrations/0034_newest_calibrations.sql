-- The newest calibration is the one that was stored last: the id of one that was asked for by itself is older than it.
DROP INDEX calibrations_profile;
DROP INDEX calibrations_space;
CREATE INDEX calibrations_profile ON calibrations (profile, created_us, id);
CREATE INDEX calibrations_space ON calibrations (profile_revision, space_fingerprint, created_us, id);
-- The version by which its job counted it; the one that it has was given when it was stored.
ALTER TABLE calibrations ADD COLUMN told INTEGER;
