"""What the client prints for people, of answers that are played, and names in place of ids."""
import json
import os
import subprocess

import bed
import data
from client import problem
from stack import CLI
from suite import check, equal, test
from trouble import Played, by_path, candidates, run


def front_played(items=1, **search):
    """What the client says of the front of a search that is played, with these options."""
    metrics = {"top1": {"value": 0.5, "source": "predicted"}, "latency_us:p": {"value": 9.0, "low": 8.0, "high": 10.0, "source": "predicted"}}
    own = {"stage": "measured", "version": 1, "hypervolume": 0.5, "reference_point": {"top1": 0, "latency_us:p": 20}}
    none = {"stage": None, "version": None, "hypervolume": None, "reference_point": own["reference_point"]}
    rows = [{"arch": f"a{i}", "arch_id": f"{i}", "metrics": metrics, "feasible": True} for i in range(items)]

    def answer(_, path):
        if not path.split("?")[0].endswith("/front"):
            return 200, {"state": "done", "objectives": [{"metric": "top1"}, {"metric": "latency_us", "profile": "p"}], "constraints": [], **search}
        asked = {"objectives": ["top1", "macs"], "considered": 9, "incomplete": 0} if "objectives=" in path else {}
        return 200, {**(own if rows and not asked else none), **asked, "items": rows, "no_board": False, "refused": False}

    def said(*options):
        with Played(answer) as daemon:
            return daemon.run("search", "front", "s", *options).stderr
    return said


@test("the client says why a front is empty, and calls a space degenerate where the daemon found it so alone")
def told_fronts():
    for state, why in (("queued", "There is no front yet"), ("running", "There is no front yet"), ("failed", "The search failed before it had a front"), ("canceled", "The search was cancelled before"), ("done", "No network met the search's limits.")):
        said = front_played(0, state=state)()
        check(said.startswith(why) and said.count("\n") == 1, f"why the front of a {state} search is empty", said)
    said = front_played(0)
    equal(said("--limit", "macs<=3"), "No network keeps these limits.\n", "limits that were given")
    equal(said("--objective", "top1", "--objective", "macs"), "No network has a value of each of these metrics.\n", "metrics that were given")
    equal(front_played(3, result=None)(), "\n3 points, latency 9.000 to 9.000 us (ratio 1.00), hypervolume 0.5, measured front\n", "of a search that knows nothing of it, as an imported one")
    wide, narrow = {"result": {"degenerate": False}}, {"result": {"degenerate": True}}
    check("degenerate" not in front_played(3, **wide)(), "as the daemon found")
    equal([front_played(n, **narrow)().splitlines()[-1] for n in (3, 8)], ["The space is degenerate on this board: fewer than 8 points.", "The space is degenerate on this board: a latency ratio below 1.5."], "what makes it so")
    two = {"objectives": [{"metric": "top1"}, {"metric": "latency_us", "profile": "p"}, {"metric": "latency_us", "profile": "q"}]}
    equal([front_played(n, **narrow, **two)().splitlines()[-1] for n in (3, 8)], ["The space is degenerate: fewer than 8 points.", "The space is degenerate: a latency ratio below 1.5 on its first board."], "of two boards")
    said = front_played(3, **narrow)
    for options in (("--limit", "macs<=3"), ("--objective", "top1", "--objective", "macs")):
        check("degenerate" not in said(*options), "nothing of a front that was asked for", options, said(*options))
    check(said("--objective", "top1", "--objective", "macs").endswith("(ratio 1.00)\n"), "no stage and no hypervolume where there are none")


@test("what failed is shown with the reason, as its job has it, and without rows that have no value")
def shown_without_gaps():
    job = {"id": "job_1", "kind": "search", "state": "failed", "error": {"message": "no subnet\tkeeps the limits"}, "progress": None, "waits_for": None, "attempt": 1, "held": False}
    failed = {"id": "x_1", "name": "x", "state": "failed", "stage": None, "job": "job_1", "result": None, "hypervolume": None, "front_size": None, "evaluations_done": 0, "notes": [], "predictor": None, "created_at": "2026-01-02T03:04:05Z"}
    with Played(by_path(searches_x=failed, supernets_x=failed, models_x=failed, searches_y={**failed, "job": "job_2"}, searches_z={**failed, "state": "done"}, jobs_job_1=job)) as daemon:
        for noun in ("search", "supernet", "model"):
            lines = daemon.run(noun, "show", "x").stdout.splitlines()
            equal(lines[-1], "failed: no subnet keeps the limits", f"why, of a {noun}")
            equal([line for line in lines if line.endswith("\t-") or not line.strip()], [], f"rows without a value, of a {noun}")
        check("evaluations\t0\n" in daemon.run("search", "show", "x").stdout, "0 is a value")
        for name in ("y", "z"):  # its job was pruned; it has not failed
            done = daemon.run("search", "show", name)
            equal((done.returncode, "failed:" in done.stdout, done.stderr), (0, False, ""), "nothing to say")
        equal(daemon.run("job", "show", "job_1").stdout.split("\n")[3:5], ["paused by a person\tno", "attempt\t1"], "of a job")


def for_people(daemon, *words):
    """What the client prints on a terminal."""
    os.environ["ESPALIER_TABLE"] = "1"
    try:
        return daemon.run(*words).stdout
    finally:
        del os.environ["ESPALIER_TABLE"]


@test("boards and models are named in the heads of candidates and lineages; a front's head is short where people see it")
def named_heads():
    metric = {"value": [7.5], "source": ["measured"]}
    columns = {"strategy": ["nsga2"], "generation": [1], "feasible": [True], "on_front": [True], "arch": ["r28"], "metrics": {"latency_us:pf_1": metric, "energy_uj:md_1": metric, "latency_us:pf_gone": metric}}
    one = {name: {"value": 7.5, "low": 7.0, "high": 8.0, "source": "predicted"} for name in columns["metrics"]}
    lineage = {"strategy": "nsga2", "items": [{"arch": "r28", "arch_id": "a", "generation": 1, "parents": [], "metrics": one}]}
    wide = {"top1": {"value": 0.5, "source": "predicted"}, "latency_us:pf_1": {**one["latency_us:pf_1"], "source": "measured"}, "macs": {"value": 3e6}, "params": {"value": 2e4}, "peak_activation_bytes": {"value": 2e4}}
    front = {"stage": "measured", "hypervolume": 0.5, "items": [{"arch": "r28", "metrics": wide, "predicted": {"latency_us:pf_1": {"value": 7.2}}}]}
    with Played(by_path(searches_s={"state": "done"}, searches_s_candidates={"total": 1, "columns": columns}, searches_s_lineage=lineage, searches_s_front=front, profiles_pf_1={"name": "pi4/native-fp32-t1"}, models_md_1={"name": "note10"})) as daemon:
        names = ["latency_us@pi4/native-fp32-t1", "energy_uj@note10", "latency_us:pf_gone"]
        for words in (("candidates", "s"), ("lineage", "s", "r28")):
            head = daemon.run("search", *words).stdout.splitlines()[0].split("\t")
            equal(head[-4:], [*names, "ARCH"], f"search {words[0]}")
        equal(daemon.run("search", "front", "s").stdout.splitlines()[0].split("\t")[:3], ["TOP-1 (VALIDATION)", "TEST", "LATENCY US: PREDICTED -> MEASURED [95 %]"], "for programs")
        head, row, _, _, told = for_people(daemon, "search", "front", "s").splitlines()
        equal(head.split(), ["TOP-1", "LATENCY", "US", "MACS", "PARAMS", "MEMORY", "ARCH"], "for people")
        check(len(head) <= 82 and "7.200 -> 7.500 [7.000, 8.000]" in row, "it fits", head, row)
        check("predicted -> measured" in told and "validation" in told, "what the cells are", told)


@test("what people see of boards, supernets and subjects of jobs is their names; who uses a thing is told apart", 60)
def names_for_ids():
    stack, client = bed.daemon(), bed.client()
    profile = bed.profile()
    name = client.get(f"/profiles/{profile}")["name"]
    search = client.post("/searches", bed.search_body("of names", evaluations=60, measure_front=0), 202)
    stack.wait_job(search["job"]["id"])

    def cells(title, *words):
        head, *rows = [line.split("\t") for line in stack.cli(*words).splitlines()]
        return {row[head.index(title)] for row in rows}
    for words in (("latency", "tables"), ("measurement", "ls"), ("latency", "calibrations")):
        got = cells("PROFILE", *words)
        check(name in got and not [cell for cell in got if cell.startswith("pf_")], f"{words}", got)
    measured = client.items(f"/measurements?profile={profile}")[0]["id"]
    for path in (f"/measurements/{measured}", f"/tables/{client.items('/tables')[0]['id']}"):
        equal("profile_name" in client.get(path), True, path)
    check(name in stack.cli("measurement", "show", measured), "measurement show")
    got = cells("SUBJECT", "job", "ls")
    check({"of names", "net", "bars", f"tiny on {name}"} <= got, "subjects of jobs", got)
    equal(client.get(f"/jobs/{search['job']['id']}")["subject_name"], "of names", "of one")
    shown = stack.cli("job", "show", search["job"]["id"])
    check("of names" in shown and search["search"]["id"] in shown, "job show", shown)
    made = client.post("/exports", {"supernet": "net", "format": "safetensors"}, 202)
    stack.wait_job(made["job"]["id"])
    got = cells("SUPERNET", "export", "ls")
    check("net" in got and not [cell for cell in got if cell.startswith("sn_")], "export ls", got)
    equal(client.get(f"/jobs/{made['job']['id']}")["subject_name"], "net", "subject of an export")
    client.expect(204, "DELETE", f"/exports/{made['export']['id']}")
    equal(client.get(f"/jobs/{made['job']['id']}")["subject_name"], None, "of one that is removed")
    running = [client.post("/searches", bed.search_body(f"run {i}", evaluations=100000), 202) for i in range(2)]
    for run in running:
        refused = problem(client.request("DELETE", f"/searches/{run['search']['id']}"), 409, "conflict")
        check(f"job \"search\" {run['job']['id']}" in refused["detail"], "which job uses it", refused["detail"])
    for run in running:
        client.post(f"/searches/{run['search']['id']}/cancel", {})
        stack.wait_job(run["job"]["id"], state="canceled")
        stack.cli("search", "rm", run["search"]["id"])
    stack.cli("search", "rm", "of names")


@test("an address that is none is wrong use; who has no token is told how one is given")
def wrong_addresses():
    for url, said in (("foo", "foo"), ("ftp://127.0.0.1", "only http and https"), ("http://192.0.2.1:8080", "--insecure-lan"), ("http://127.0.0.1:1/x", "no path"), ("unix:", "socket")):
        done = run("status", "--url", url)
        equal((done.returncode, done.stdout), (2, ""), f"exit code of {url}")
        check(said in done.stderr, "the reason", done.stderr)
    refused = {"title": "no", "status": 401, "code": "unauthorized", "detail": "every request needs a token", "errors": []}
    with Played(lambda *_: (401, refused)) as daemon:
        done = daemon.run("status")
        equal((done.returncode, done.stderr), (1, "espalier: every request needs a token; --token or ESPALIER_TOKEN gives one\n"), "without a token")


@test("slips in strategies and metrics are answered with what was meant and what there is", 60)
def slips_of_values():
    stack = bed.daemon()
    bed.supernet()
    create = ("search", "create", "slip", "--supernet", "net")
    for option, wrong in (("--strategy", "nsga"), ("--baseline", "randm")):
        done = stack.cli_run(*create, option, wrong)
        equal(done.returncode, 1, "exit code")
        meant = {"nsga": "nsga2", "randm": "random"}[wrong]
        check(f'there is no strategy "{wrong}"; did you mean "{meant}"? There are: ' in done.stderr and "exhaustive" in done.stderr, "the sentence", done.stderr)
    done = stack.cli_run(*create, "--strategy", "divination")
    check('"divination"; there are: ' in done.stderr, "nothing near", done.stderr)
    for words in (("--objectives", "top1,latencyy@board-a"), ("--objectives", "top1", "--limit", "latncy@board-a=3")):
        done = stack.cli_run(*create, *words)
        equal((done.returncode, done.stdout), (2, ""), "exit code")
        check('did you mean "latency"?' in done.stderr, "the client's own word", done.stderr)
    for word in ("latency_us", "latency", "latency_uss"):
        check('did you mean "latency"?' not in stack.cli_run(*create, "--objectives", f"top1,{word}@nobody").stderr, "no slip of it", word)
    equal(bed.client().request("GET", "/searches/slip").status, 404, "nothing was created")


@test("small things: a number without a unit ends with it, a space comes from standard input, help of a noun")
def small_things():
    with Played(by_path(spaces_s={"name": "s", "fingerprint": "f"}, supernets_n_pins=None, models_m={"id": "m", "name": "m"}, searches_s={"state": "done", "objectives": [{"metric": "macs"}]}, searches_s_front={"stage": "predicted", "items": [{"arch": "r28", "metrics": {"macs": {"value": 960.0}, "params": {"value": 3210.0}, "model_bytes": {"value": 12}}}]})) as daemon:
        head, row = [line.split("\t") for line in daemon.run("search", "front", "s").stdout.splitlines()[:2]]
        cells = dict(zip(head, row))
        equal([cells["MACS"], cells["PARAMS"]], ["960", "3.21 k"], "numbers")
    url, space = bed.daemon().url, data.space(name="from-a-pipe")
    done = subprocess.run([str(CLI), "space", "add", "-", "--get", "name", "--url", url], input=json.dumps(space), capture_output=True, text=True, timeout=20)
    equal((done.returncode, done.stdout, done.stderr), (0, "from-a-pipe\n", ""), "space add -")
    bed.client().expect(204, "DELETE", "/spaces/from-a-pipe")
    for words, same in ((("help", "search"), ("search", "--help")), (("help", "search", "create"), ("search", "create", "--help")), (("help", "status"), ("status", "--help")), (("--url", url, "help", "search", "create"), ("search", "create", "--help")), (("--url", url, "help"), ("--help",))):
        equal((run(*words).returncode, run(*words).stdout), (0, run(*same).stdout), f"{words}")
    for words in (("--json", "--jsonl"), ("-o", "name", "--get", "id"), ("--get", "id", "--json")):
        done = run("space", "ls", *words)
        check(done.returncode == 2 and "at a time" in done.stderr, f"two ways to print: {words}", done)
    def under(settings, *words):
        return subprocess.run([str(CLI), *words, "--url", url], env={**os.environ, **settings}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    equal(under({"ESPALIER_JSON": "true"}, "space", "ls", "-o", "name").stdout, under({}, "space", "ls", "-o", "name").stdout, "what the line says goes before the environment")
    equal(under({"ESPALIER_OUTPUT": "name"}, "status").returncode, 0, "an environment asks for names where there are some")
    done = run("help", "serach")
    check(done.returncode == 2 and 'did you mean "search"' in done.stderr, "help of nothing", done.stderr)


@test("search front --best and --archs heed the options of how answers are printed, or refuse them")
def best_and_archs():
    items = [{"arch_id": f"id-{arch}", "arch": arch, "feasible": feasible, "metrics": {"top1": {"value": top1}}} for arch, top1, feasible in (("low", 0.5, True), ("best", 0.7, True), ("beyond", 0.9, False))]
    best = items[1]
    with Played(by_path(searches_s={"state": "done", "objectives": []}, searches_s_front={"items": items}, searches_t_front={"items": items[2:]})) as daemon:
        def printed(*options):
            done = daemon.run("search", "front", "s", *options)
            equal((done.returncode, done.stderr), (0, ""), f"{options}")
            return done.stdout
        for options in (("--best",), ("--best", "--json"), ("--best", "--jsonl")):
            equal(json.loads(printed(*options)), best, f"{options}")
        check(printed("--best") == printed("--best", "--json") != printed("--best", "--jsonl"), "a document for people and for --json")
        equal(printed("--best", "--jsonl").count("\n"), 1, "lines of --jsonl")
        equal(printed("--best", "-o", "name"), "id-best\n", "its id")
        check(printed("--best", "-o", "name") in printed("-o", "name").splitlines(keepends=True), "as the list prints it")
        equal([printed("--best", "--get", path) for path in ("arch", "metrics.top1.value")], ["best\n", "0.7\n"], "members")
        equal(printed("--archs"), "low\nbest\nbeyond\n", "texts")
        equal(subprocess.run([str(CLI), "search", "front", "s", "--archs", "--url", daemon.url], env={**os.environ, "ESPALIER_OUTPUT": "name", "ESPALIER_JSON": "true"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout, "low\nbest\nbeyond\n", "texts, whatever an environment says")
        equal([printed("--archs", "--best"), printed("--best", "--archs")], ["best\n", "best\n"], "the best one's text")
        done = daemon.run("search", "front", "t", "--best", "--archs")
        check(done.returncode == 3 and not done.stdout and "no point meets the constraints" in done.stderr, "without a best one", done)
    for form in (("--json",), ("--jsonl",), ("--get", "0.arch"), ("-o", "name")):
        for options in (("--archs",), ("--best", "--archs")):
            done = run("search", "front", "s", *options, *form)
            check((done.returncode, done.stdout) == (2, "") and "--archs prints the networks' texts" in done.stderr, f"{options} {form}", done)


@test("-o name prints the networks of candidates and lineages, a line each, and is refused where there are no names")
def names_or_none():
    networks = [("nsga2", "a", 0.5), ("random", "b", 0.25)]
    lineage = {"strategy": "nsga2", "items": [{"arch_id": f"id-{arch}", "arch": arch, "strategy": "nsga2", "parents": []} for arch in "xy"], "more": False}
    asked = []

    def answer(method, path):
        asked.append(path)
        return by_path(searches_s_candidates=candidates(*networks), searches_s_lineage=lineage, supernets_n_pins={"items": [{"arch": "r28"}, {"arch": "r20"}]})(method, path)
    with Played(answer) as daemon:
        shown = ("search", "candidates", "s")
        equal(daemon.run(*shown, "-o", "name").stdout, "a\nb\n", "ids of candidates")
        equal(daemon.run(*shown, "--get", "columns.arch_id.1").stdout, "b\n", "a member of the daemon's document")
        equal(json.loads(daemon.run(*shown, "--json").stdout), candidates(*networks), "the document")
        lines, exported = daemon.run(*shown, "--jsonl").stdout, daemon.run("search", "export", "s", "--jsonl").stdout
        equal(lines, exported, "lines, as an export has them")
        equal([(row["arch_id"], row["strategy"], row["origin"], row["metrics"]["top1"]["value"]) for row in map(json.loads, lines.splitlines())], [("a", "nsga2", "drawn", 0.5), ("b", "random", "drawn", 0.25)], "rows")
        equal(daemon.run("search", "lineage", "s", "x", "-o", "name").stdout, "id-x\nid-y\n", "ids of a lineage")
        equal([json.loads(line) for line in daemon.run("search", "lineage", "s", "x", "--jsonl").stdout.splitlines()], lineage["items"], "its lines")
        equal(json.loads(daemon.run("search", "lineage", "s", "x", "--json").stdout), lineage, "its document")
        equal(daemon.run("arch", "pin", "n", "r28", "r20", "-o", "name").stdout, "r28\nr20\n", "what was pinned")
        asked.clear()
        for words in (("status",), ("arch", "diff", "x", "y", "--space", "z"), ("device", "logs", "d"), ("prune", "--dry-run"), ("prune", "--yes"), ("latency", "evaluate", "x.csv")):
            done = daemon.run(*words, "-o", "name")
            command = " ".join(words[:1] if words[0] in ("status", "prune") else words[:2])
            check((done.returncode, done.stdout) == (2, "") and f"what {command} prints has no names" in done.stderr, "a refusal", words, done)
            check("refused" in daemon.run(*words, "--help").stdout, "its help", words)
        equal(asked, [], "requests of what is refused")


@test("space sample --json and --get have the daemon's document, --jsonl and -o name a line for each metric")
def sampled():
    quantiles = {"macs": {"min": 1, "p5": 2, "median": 3, "p95": 4, "max": 5}, "params": {"min": 6, "p5": 7, "median": 8, "p95": 9, "max": 10}}
    doc = {"n": 7, "quantiles": quantiles, "missing_entries": 3}
    with Played(by_path(spaces_s_sample=doc)) as daemon:
        def printed(*options):
            return daemon.run("space", "sample", "s", *options).stdout
        equal(json.loads(printed("--json")), doc, "the document")
        equal([printed("--get", path) for path in ("n", "missing_entries", "quantiles.params.max")], ["7\n", "3\n", "10\n"], "its members")
        equal([json.loads(line) for line in printed("--jsonl").splitlines()], [{**row, "metric": metric} for metric, row in quantiles.items()], "rows")
        equal(printed("-o", "name"), "macs\nparams\n", "names")
        done = daemon.run("space", "sample", "s")
        equal([line.split("\t") for line in done.stdout.splitlines()][1], ["macs", "1", "2", "3", "4", "5"], "a row for people")
        check(done.stderr.startswith("3 entries of the latency table are missing"), "what is missing", done.stderr)


@test("-o name of what makes a secret prints the secret")
def secrets_made():
    for words, member in ((("webhook", "add", "http://x"), "secret"), (("webhook", "rotate", "wh_1"), "secret"), (("token", "add"), "token"), (("device", "add"), "token")):
        with Played(lambda *_: (201, {"id": "x_1", member: "s3cret"})) as daemon:
            equal([daemon.run(*words, "-o", "name").stdout, daemon.run(*words, "--get", "id").stdout], ["s3cret\n", "x_1\n"], f"{words}")


@test("a word that is a dot or two is a name as all others: nothing else is asked for")
def dots():
    asked = []

    def answer(method, path):
        asked.append(f"{method} {path}")
        return 404, {"title": "no", "status": 404, "code": "not_found", "detail": "no", "errors": []}
    with Played(answer) as daemon:
        for word in (".", "..", "../spaces"):
            for words in (("search", "show", word), ("search", "front", word), ("space", "rm", word)):
                equal(daemon.run(*words).returncode, 3, f"exit code of {words}")
    names = (".", "..", "..%2Fspaces")
    equal(asked, [request for name in names for request in (f"GET /searches/{name}", f"GET /searches/{name}/front", f"DELETE /spaces/{name}")], "requests")
    for word in (".", ".."):
        done = bed.daemon().cli_run("search", "show", word)
        equal((done.returncode, done.stdout, done.stderr), (3, "", f'espalier: there is no search "{word}"\n'), f"of {word}")
