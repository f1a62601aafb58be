-- Who a board is: copies of its identity are told from it by what its worker says at each start, and wait for a person's word.
ALTER TABLE devices ADD COLUMN instance TEXT; -- that the worker made for its newest start; NULL: it makes none
ALTER TABLE devices ADD COLUMN refused_us INTEGER; -- when another last claimed to be this board; NULL: since the last was let in, none
ALTER TABLE devices ADD COLUMN refused_why TEXT;
ALTER TABLE devices ADD COLUMN allowed INTEGER NOT NULL DEFAULT 0; -- the next such claim is let in
ALTER TABLE devices ADD COLUMN rotate INTEGER NOT NULL DEFAULT 0; -- the worker is asked for a new token
