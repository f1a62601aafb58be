"""What the tests of searches share."""
import bed
from client import problem
from suite import equal


def refuse(pointer, statuses=(400, 404, 422), code=None, **changes):
    return problem(bed.client().request("POST", "/searches", bed.search_body(**{"name": "refused", **changes})), statuses, code, pointer)


def latency(profile, **rest):
    return {"metric": "latency_us", "profile": profile, **rest}


TOP1 = {"metric": "top1", "direction": "maximise"}
MACS = {"metric": "macs", "direction": "minimise"}


def remove(*names):
    for name in names:
        equal(bed.client().request("DELETE", f"/searches/{name}").status, 204, f"removal of {name}")


def whole(search):
    """All that a search has found, without what counts its changes."""
    client = bed.client()
    columns = client.get(f"/searches/{search}/candidates?page_size=20000")["columns"]
    metrics = {key: list(zip(row["value"], row["low"], row["high"], row["source"])) for key, row in columns["metrics"].items()}
    plain = [columns[key] for key in ("strategy", "arch", "generation", "feasible", "on_front")]
    rows = sorted((*row, *({key: values[at] for key, values in metrics.items()}.items())) for at, row in enumerate(zip(*plain)))
    front = client.get(f"/searches/{search}/front")
    result = client.get(f"/searches/{search}")["result"]
    return rows, front["hypervolume"], sorted(point["arch_id"] for point in front["items"]), client.get(f"/searches/{search}/hypervolume"), result
