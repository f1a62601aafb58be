-- An enrolment token may name the board that it is for; its device is the board that enrolled with it last.
ALTER TABLE tokens ADD COLUMN name TEXT; -- NULL: as the worker says
