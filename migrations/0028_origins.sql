-- Where a candidate comes from: how its strategy made it, and the arch_ids of the candidates that it made it of. Older ones
-- and those of other programs have none.
ALTER TABLE candidates ADD COLUMN origin TEXT;
ALTER TABLE candidates ADD COLUMN first_parent TEXT;
ALTER TABLE candidates ADD COLUMN second_parent TEXT;
