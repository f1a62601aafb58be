-- What was learnt on the networks of one space is no calibration of another's.
ALTER TABLE calibrations ADD COLUMN space_fingerprint TEXT;
UPDATE calibrations SET space_fingerprint = (SELECT space_fingerprint FROM searches WHERE id = calibrations.search);
CREATE INDEX calibrations_space ON calibrations (profile_revision, space_fingerprint, id);
