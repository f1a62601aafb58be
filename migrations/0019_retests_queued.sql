CREATE INDEX measurements_retests ON measurements (profile) WHERE state = 'queued' AND kind = 'reference'; -- all that a board in quarantine may do
