-- Prices of energy that were given may be off by a factor of two.
UPDATE energy_prices SET data = json_set(data, '$.residual_sd', 0.4214) WHERE json_extract(data, '$.n') = 0;
