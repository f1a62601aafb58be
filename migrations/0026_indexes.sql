-- For what asks by a calibration's search, and for what must not go while a job is not over.
CREATE INDEX calibrations_search ON calibrations (search) WHERE search IS NOT NULL;
CREATE INDEX jobs_not_over ON jobs (id) WHERE state NOT IN ('done', 'failed', 'canceled');
