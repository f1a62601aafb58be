-- What the loop asks each second or oftener, of a fleet of a thousand boards: those of the daemon's own machine, and noise floors in doubt.
CREATE INDEX devices_local ON devices (id) WHERE local = 1;
CREATE INDEX profile_revisions_doubted ON profile_revisions (noise_next_us) WHERE noise_doubt IS NOT NULL;
