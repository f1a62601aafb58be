ALTER TABLE measurements ADD COLUMN energy_uj REAL; -- of one run, by the board's sensors or its command; NULL: not told
