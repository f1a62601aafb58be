"""The OpenAPI document: it names every route with its parameters and bodies, and every answer that any test of this suite sees is held against it."""
import copy
import json
import re
import subprocess

import jsonschema

import bed
import client as http
from stack import DAEMON
from suite import check, equal, once, test

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
formats = jsonschema.FormatChecker(formats=())
formats.checks("date-time")(lambda value: not isinstance(value, str) or TIME.fullmatch(value) is not None)
seen = set()  # (method, path of the document, status)
seen_topics = set()  # of events
wrong = {}  # sentence -> an answer of which it is true; told by the suite's last test, as answers are seen in threads too


@once
def document():
    return json.loads(subprocess.run([DAEMON, "--openapi"], capture_output=True, text=True, timeout=10, check=True).stdout)


def closed(value):
    """The document allows members and words that are to come; these tests allow none that it does not describe."""
    if isinstance(value, dict):
        for member in value.values():
            closed(member)
        if value.get("type") == "object" and "properties" in value:
            value.setdefault("additionalProperties", False)
        if "x-extensible-enum" in value:
            value["enum"] = value["x-extensible-enum"]
    elif isinstance(value, list):
        for item in value:
            closed(item)
    return value


@once
def resolver():
    return jsonschema.RefResolver.from_schema(closed(copy.deepcopy(document())))


def hold_against(schema, value, what):
    for error in jsonschema.Draft202012Validator(schema, resolver=resolver(), format_checker=formats).iter_errors(value):
        at = "/".join("*" if isinstance(part, int) else part for part in error.absolute_path)
        wrong.setdefault(f"{what}, /{at}: {error.message[:160]}", str(error.instance)[:300])


@once
def paths():
    """(pattern, path) of every path, those without a parameter first."""
    found = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in document()["paths"]]
    return sorted(found, key=lambda row: "{" in row[1])


def watch(method, path, _body, answer):
    """Each answer of the daemon that a test of this suite sees."""
    path = path.split("?")[0]
    known = next((name for pattern, name in paths() if pattern.fullmatch(path)), None)
    kind = answer.headers.get("content-type", "").split(";")[0]
    if kind == "application/problem+json" and answer.body:
        hold_against({"$ref": "#/components/schemas/Problem"}, answer.doc, f"the problem of {method} {known}")
        return
    operation = document()["paths"].get(known, {}).get(method.lower())
    if operation is None or answer.status == 304:
        return
    described = operation["responses"].get(str(answer.status))
    if described is None:
        wrong.setdefault(f"{method} {known} answers {answer.status}", answer)
        return
    seen.add((method, known, answer.status))
    if method == "GET" and answer.headers.get("etag") and "304" not in operation["responses"]:
        wrong.setdefault(f"{method} {known} has an ETag that is not described", answer)
    content = described.get("content", {})
    if ([kind] if kind else []) != list(content):
        wrong.setdefault(f"{method} {known} answers {kind}", answer)
    elif kind == "application/json":
        hold_against(content[kind]["schema"], answer.doc, f"{method} {known} {answer.status}")


@once
def event_schemas():
    """Topic -> the schema of its events."""
    schemas = document()["components"]["schemas"]
    return {schemas[row["$ref"].split("/")[-1]]["properties"]["event"]["const"]: row for row in schemas["Event"]["oneOf"]}


def watch_event(number, topic, data):
    """Each event that a test of this suite reads."""
    seen_topics.add(topic)
    if topic not in event_schemas():
        wrong.setdefault(f"an event {topic}", str(data)[:300])
        return
    event = {"event": topic, "data": data, **({} if number is None else {"id": number})}
    hold_against(event_schemas()[topic], event, f"an event {topic}")


http.watchers.append(watch)
http.event_watchers.append(watch_event)


def operations():
    """(method, path, operation) of the document."""
    return [(method.upper(), path, operation) for path, row in document()["paths"].items() for method, operation in row.items()]


def parameters_of(operation, where):
    rows = [document()["components"]["parameters"][p["$ref"].split("/")[-1]] if "$ref" in p else p for p in operation.get("parameters", [])]
    return {row["name"] for row in rows if row["in"] == where}


@test("the OpenAPI document has the daemon's routes, each with its parameters, and is served as it is printed")
def routes():
    lines = subprocess.run([DAEMON, "--routes"], capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    have = {tuple(line.split(" ?")[0].split()): set(filter(None, line.partition(" ?")[2].split(","))) for line in lines}
    described = {(method, path): operation for method, path, operation in operations()}
    equal(sorted(described), sorted(have), "routes")
    for key, query in have.items():
        equal(parameters_of(described[key], "query"), query, f"query of {key}")
        equal(parameters_of(described[key], "path"), set(re.findall(r"\{(\w+)\}", key[1])), f"path of {key}")
    equal(bed.client().get("/openapi.json"), document(), "what is served")
    identifiers = [operation["operationId"] for _, _, operation in operations()]
    equal(len(set(identifiers)), len(identifiers), "operation ids")


def known_members(answer):
    """The members that a refusal of an unknown one lists."""
    detail = http.problem(answer, 422)["detail"]
    return detail.split("nown are: ")[1].split(", ") if "nown are: " in detail and not detail.endswith(": ") else []


@test("the bodies that the daemon takes have the members that the OpenAPI document gives them, and no others", 120)
def bodies():
    client, schemas = bed.client(), document()["components"]["schemas"]
    names = {"{name}": "tiny", "/supernets/{id}": f"/supernets/{bed.supernet()}", "/devices/{id}": f"/devices/{client.items('/devices')[0]['id'] if bed.profile() else ''}"}
    sound = {"name": "described", "path": str(bed.daemon().root / "bars"), **{k: v for k, v in bed.search_body("described").items() if k != "name"}}
    tried = []
    for method, path, operation in operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        name = content and content["schema"]["$ref"].split("/")[-1]
        if not name or name == "SpaceDocument" or "/worker/" in path:
            continue
        for part, value in names.items():
            path = path.replace(part, value)
        schema = schemas[name]
        given = {key: value for key, value in sound.items() if key in schema.get("required", []) or key == "path" and key in schema.get("properties", {})}
        answer = client.request(method, path.replace("{id}", "none"), {**given, "no_such_member": 1})
        if answer.status == 404 and name == "Empty":
            continue
        known = known_members(answer)
        equal(sorted(known), sorted(schema.get("properties", {})), f"members of {name}")
        check(schema.get("additionalProperties") is False or name == "Empty", f"{name} is closed")
        tried.append(name)
    nested = {
        "TrainOptions": ("/supernets", {"name": "n", "space": "tiny", "dataset": "bars", "train": {"no_such_member": 1}}),
        "Augment": ("/supernets", {"name": "n", "space": "tiny", "dataset": "bars", "train": {"epochs": 1, "augment": {"no_such_member": 1}}}),
        "InitFrom": ("/supernets", {"name": "n", "init_from": {"no_such_member": 1}, "train": {"epochs": 1}}),
        "Objective": ("/searches", bed.search_body("n", objectives=[{"no_such_member": 1}, {"metric": "macs", "direction": "minimise"}])),
        "Constraint": ("/searches", bed.search_body("n", constraints=[{"no_such_member": 1}])),
        "WarmStart": ("/searches", bed.search_body("n", warm_start={"no_such_member": 1})),
    }
    for name, (path, body) in nested.items():
        known = known_members(client.request("POST", path, body))
        equal(sorted(known), sorted(schemas[name]["properties"]), f"members of {name}")
        tried.append(name)
    check(len(tried) > 20, "bodies", tried)


@test("prices of energy that are all nothing are none by the OpenAPI document either")
def prices_described():
    schema = jsonschema.Draft202012Validator({"$ref": "#/components/schemas/EnergyPricesRequest"}, resolver=resolver())
    for prices, valid in (({}, True), ({"mac_pj": 0, "byte_pj": 0}, False), ({"mac_pj": 0, "byte_pj": 0, "run_uj": 0}, False), ({"mac_pj": 0, "byte_pj": 0, "run_uj": 1}, True), ({"mac_pj": 0, "byte_pj": 1}, True),
                          ({"mac_pj": 1, "byte_pj": 0}, True), ({"mac_pj": 1}, False), ({"run_uj": 1}, False)):
        body = {"profile": bed.profile(), **prices}
        equal(schema.is_valid(body), valid, f"{prices} by the document")
        if not valid:
            http.problem(bed.client().request("POST", "/energy_prices", body), 422)


@test("events have the topics that the OpenAPI document gives them")
def topics_described():
    topics = set(event_schemas())
    detail = http.problem(bed.client().request("GET", "/events?topics=none"), 400)["detail"]
    equal(set(detail.split("there are ")[1].split(",")) | {"resync"}, topics, "topics")


@test("a body without a member that the OpenAPI document requires is refused at it")
def required():
    client, schemas = bed.client(), document()["components"]["schemas"]
    bodies = {
        "DatasetRequest": ("/datasets", {"name": "r", "path": str(bed.daemon().root)}), "ImportRequest": ("/imports", {"name": "r", "space": "tiny", "path": str(bed.daemon().root)}),
        "EvaluationRequest": ("/evaluations", {"supernet": "none"}), "EstimationRequest": ("/estimations", {"supernet": "none"}), "SearchRequest": ("/searches", bed.search_body("r")), "ExportRequest": ("/exports", {"supernet": bed.supernet(), "format": "safetensors"}),
        "TableRequest": ("/tables", {"profile": bed.profile(), "space": "tiny"}), "MeasurementRequest": ("/measurements", {"profile": bed.profile(), "space": "tiny", "archs": [bed.SMALL_ARCH]}),
        "CalibrationRequest": ("/calibrations", {"profile": bed.profile(), "space": "tiny"}),
        "TokenRequest": ("/tokens", {"kind": "api"}), "SampleRequest": ("/spaces/tiny/sample", {"n": 1}), "SignIn": ("/session", {"token": "x"}),
        "SupernetRequest": ("/supernets", {"name": "r", "space": "tiny", "dataset": "bars", "train": {"epochs": 1}}), "TrainRequest": (f"/supernets/{bed.supernet()}/train", {"train": {"epochs": 1}}),
        "Archs": (f"/supernets/{bed.supernet()}/pins", {"archs": [bed.SMALL_ARCH]}),
    }
    for name, (path, body) in bodies.items():
        for member in schemas[name]["required"]:
            http.problem(client.request("POST", path, {k: v for k, v in body.items() if k != member}), 422, pointer=f"/{member}")
