-- Networks that a person keeps: only they (and exported ones) are ever scored on the test images.
CREATE TABLE pins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    supernet TEXT NOT NULL REFERENCES supernets (id) ON DELETE CASCADE,
    arch_id TEXT NOT NULL,
    arch TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (supernet, arch_id)
) STRICT;
CREATE INDEX exports_arch ON exports (supernet, arch_id);
