-- Webhooks and what is sent to them. A delivery is a row until it has arrived or was given up, so that no kill loses it.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    label TEXT NOT NULL,
    secret TEXT NOT NULL, -- as it is: it signs
    events TEXT, -- JSON list of types; NULL: all
    kinds TEXT, -- JSON list of kinds of jobs; NULL: all
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_reason TEXT,
    last_error TEXT,
    last_failure_us INTEGER,
    last_success_us INTEGER,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY, -- the header webhook-id, the same in each attempt
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL, -- one id for all webhooks that are told of it
    type TEXT NOT NULL,
    job TEXT, -- NULL: of a test
    body TEXT NOT NULL, -- '' after the end
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL, -- of the next attempt
    status INTEGER, -- of the last answer; NULL: none came
    error TEXT,
    duration_us INTEGER, -- of the last attempt
    created_us INTEGER NOT NULL,
    ended_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (webhook, id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook, next_us, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_us) WHERE ended_us IS NOT NULL;
