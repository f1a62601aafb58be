-- What a token may do, and the sessions of browsers that a token was exchanged for.
ALTER TABLE tokens ADD COLUMN scope TEXT CHECK (scope IN ('read', 'submit', 'worker', 'admin')); -- NULL: enrolment tokens, good for nothing else
UPDATE tokens SET scope = CASE kind WHEN 'api' THEN 'admin' WHEN 'worker' THEN 'worker' END;
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    token TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_token ON sessions (token, created_us);
CREATE INDEX sessions_expires ON sessions (expires_us);
