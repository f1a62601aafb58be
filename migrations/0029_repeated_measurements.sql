-- For what asks whether a measurement was taken again, as its removal does (foreign keys look from the other side).
CREATE INDEX measurements_repeated ON measurements (repeats) WHERE repeats IS NOT NULL;
