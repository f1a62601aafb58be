"""What a monitoring system gets: /metrics by Prometheus' own check, and the dashboard for Grafana over them."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import bed
from suite import check, equal, test

TOP = Path(__file__).resolve().parents[3]
DASHBOARD = TOP / "docs/grafana/espalier.json"


def promtool(*words, text=None):
    tool = shutil.which("promtool") or TOP / "build/tools/promtool"
    check(Path(tool).exists(), "promtool is there (./scripts/install-packages test)")
    return subprocess.run([str(tool), *words], input=text, capture_output=True, text=True, timeout=30)


def scrape():
    return bed.client().expect(200, "GET", "/metrics").body.decode()


def samples(text):
    """{(name, labels): value}."""
    found = (re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line) for line in text.splitlines() if not line.startswith("#"))
    return {(m[1], m[2] or ""): float(m[3]) for m in found}


@test("promtool has nothing to say against /metrics, with a board whose name ends labels", 60)
def metrics():
    name = bed.client().get(f"/profiles/{bed.profile()}")["device"]
    before = bed.client().get(f"/devices/{name}")["name"]
    nasty = 'a "board" \\ {x}'
    bed.client().expect(200, "PATCH", f"/devices/{name}", {"name": nasty})
    try:
        text = scrape()
    finally:
        bed.client().expect(200, "PATCH", f"/devices/{name}", {"name": before})
    done = promtool("check", "metrics", text=text)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool check metrics")
    names = {labels for metric, labels in samples(text) if metric == "espalier_device_up"}
    check('device="a \\"board\\" \\\\ {x}"' in names, "the board's label", names)


@test("metrics say what the API says")
def figures():
    device = bed.client().get(f"/profiles/{bed.profile()}")["device"]
    name = bed.client().get(f"/devices/{device}")["name"]
    system = bed.client().get("/system")
    found = samples(scrape())
    equal(found["espalier_device_up", f'device="{name}"'], 1, "the board is there")
    equal(found["espalier_device_queue", f'device="{name}"'], 0, "nothing waits for it")
    doc = bed.client().get(f"/devices/{device}")
    equal(found["espalier_device_health", f'device="{name}",state="{doc["state"]}",health="{doc["health"]}"'], 1, "its health")
    accepted = sum(value for (metric, labels), value in found.items() if metric == "espalier_measurements" and 'state="accepted"' in labels)
    check(accepted > 10, "measurements", accepted)
    check(abs(found["espalier_database_bytes", ""] - system["database_bytes"]) < 0.2 * system["database_bytes"], "size of the database", system)
    check(found["espalier_disk_free_bytes", ""] > 0 and found["process_open_fds", ""] >= 10, "disk and files")
    check(1e6 < found["process_resident_memory_bytes", ""] < 1e9 and found["process_cpu_seconds_total", ""] > 0.01, "memory and time of the process")
    check(1.7e9 < found["process_start_time_seconds", ""] < 1e10, "its start")
    again = samples(scrape())
    requests = [sum(v for (m, _), v in doc.items() if m == "espalier_http_requests_total") for doc in (found, again)]
    check(requests[1] > requests[0], "requests are counted", requests)


@test("Grafana's dashboard asks for metrics that there are, in sound queries", 60)
def grafana():
    doc = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in doc["panels"] for target in panel["targets"]]
    check(len(queries) > 15, "queries", len(queries))
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", scrape()))
    for query in queries:
        for name in re.findall(r"\b(?:espalier|process)_[a-z_]+", query):
            family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in kinds else name
            check(family in kinds and (family == name or kinds[family] == "histogram"), "a metric that there is", name)
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"query_{i}", "expr": query} for i, query in enumerate(queries)]}]}
    file = bed.daemon().root / "dashboard-rules.yml"
    file.write_text(json.dumps(rules))  # JSON is YAML
    done = promtool("check", "rules", str(file))
    equal((done.returncode, done.stderr), (0, ""), "promtool check rules")
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in doc["panels"]]
    equal(len(set(places)), len(places), "no panel lies on another")
