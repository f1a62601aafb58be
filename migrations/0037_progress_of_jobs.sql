-- What a job said last of its progress, when its process ended and it is to go on.
ALTER TABLE jobs ADD COLUMN progress TEXT;
