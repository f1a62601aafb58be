"""What must hold whatever has happened, read from the database."""
import bed
from suite import check, equal, wait_for

QUERIES = (
    ("accepted measurements without exactly one good result that counts",
     "SELECT count(*) FROM measurements m WHERE m.state = 'accepted' AND (SELECT count(*) FROM results r WHERE r.measurement = m.id AND r.counted = 1 AND r.status IN ('ok', 'noisy')) <> 1"),
    ("results that count twice for a measurement",
     "SELECT count(*) FROM (SELECT measurement FROM results WHERE counted = 1 AND status IN ('ok', 'noisy') GROUP BY 1 HAVING count(*) > 1)"),
    ("results that were stored twice",
     "SELECT count(*) FROM (SELECT idempotency_key FROM results GROUP BY 1 HAVING count(*) > 1)"),
    ("boards with two open leases",
     "SELECT count(*) FROM (SELECT device FROM leases WHERE state IN ('granted', 'acked') GROUP BY 1 HAVING count(*) > 1)"),
    ("leases of one board that overlapped",
     "SELECT count(*) FROM leases a JOIN leases b ON a.device = b.device AND a.id < b.id AND b.created_us < coalesce(a.closed_us, 9e18) AND a.created_us < coalesce(b.closed_us, 9e18)"),
    ("measurements that two leases held at one time",
     "SELECT count(*) FROM lease_items i JOIN lease_items j ON i.measurement = j.measurement AND i.attempt < j.attempt JOIN leases a ON a.id = i.lease JOIN leases b ON b.id = j.lease "
     "WHERE b.created_us < coalesce(a.closed_us, 9e18) AND a.created_us < coalesce(b.closed_us, 9e18) AND a.state <> 'closed'"),
    ("attempts that two leases were given",
     "SELECT count(*) FROM (SELECT measurement, attempt FROM lease_items GROUP BY 1, 2 HAVING count(*) > 1)"),
)


def hold():
    for what, query in QUERIES:
        equal(bed.rows(query), [(0,)], what)
    equal(bed.rows("PRAGMA foreign_key_check"), [], "broken references")


def drained(names, seconds=60):
    """All of these are accepted within so many seconds, nothing is queued, and what must hold does."""
    marks = ",".join("?" * len(names))

    def ended():
        found = dict(bed.rows(f"SELECT state, count(*) FROM measurements WHERE id IN ({marks}) GROUP BY 1", *names))
        return found if set(found) <= {"accepted", "failed", "canceled"} else None
    equal(wait_for("the end of all measurements", ended, seconds, 0.2), {"accepted": len(names)}, "how they ended")
    hold()


def empty_spools(*names):
    for name in names:
        spool = bed.daemon().root / f"worker-{name}/spool"
        wait_for(f"the spool of {name} to be empty", lambda: not list(spool.iterdir()), 30)
    check(names, "workers")
