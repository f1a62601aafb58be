ALTER TABLE measurements ADD COLUMN flags TEXT NOT NULL DEFAULT '[]'; -- JSON: words for how it was measured: hot, throttled, bimodal, drift
