-- Folders of images: how they are kept, what was skipped, and names of classes.
ALTER TABLE datasets ADD COLUMN validation_auto INTEGER NOT NULL DEFAULT 0; -- 1: a tenth, 5,000 at most
ALTER TABLE datasets ADD COLUMN side INTEGER; -- pixels; NULL: by the files
ALTER TABLE datasets ADD COLUMN max_skipped REAL NOT NULL DEFAULT 0.05;
ALTER TABLE datasets ADD COLUMN n_files INTEGER;
ALTER TABLE datasets ADD COLUMN n_skipped INTEGER;
ALTER TABLE datasets ADD COLUMN n_enlarged INTEGER;
ALTER TABLE datasets ADD COLUMN skipped TEXT; -- JSON: [{"name", "reason"}], the first 100
ALTER TABLE datasets ADD COLUMN classes TEXT; -- JSON: names in the order of labels, or null
