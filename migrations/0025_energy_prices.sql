-- What a multiply-and-add, a byte and a run cost a profile, fitted to the energy that its board told.
CREATE TABLE energy_prices (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL REFERENCES profiles (id),
    profile_revision TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX energy_prices_profile ON energy_prices (profile, version);
