-- The list of all calibrations, newest first; that of a profile has an index of its own.
CREATE INDEX calibrations_created ON calibrations (created_us, id);
