"""espalier report: a page of a search that holds all of it, needs nothing else and lets no name become markup."""
import html.parser
import json
import shlex

import bed
from suite import check, equal, once, test

HOSTILE = "<b onmouseover=x>\"night\" & 'day' --><script>"


class Page(html.parser.HTMLParser):
    """Elements with their attributes, the text of each, and what no page that stands alone has."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.bad = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        row = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(row)
        if tag not in ("meta", "link", "br"):
            self.open.append(row)
        self.bad += [(tag, name) for name, value in attributes if name.startswith("on") or name in ("src", "action") or (name == "href" and not value.startswith("data:"))]
        if tag in ("script", "iframe", "object", "embed", "img", "form", "b"):
            self.bad.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in ("meta", "link", "br"):
            self.open.pop()

    def handle_endtag(self, tag):
        equal(self.open.pop()["tag"], tag, "the element that ends")

    def handle_data(self, data):
        for row in self.open:
            row["text"] += data

    def all(self, tag, **attributes):
        return [row["text"] for row in self.elements if row["tag"] == tag and all(row.get(name.rstrip("_")) == value for name, value in attributes.items())]


@once
def reported():
    """A search whose name is hostile, and the page of it."""
    stack = bed.daemon()
    body = bed.search_body(HOSTILE, constraints=[{"metric": "latency_us", "profile": bed.profile(), "max": 233.7}, {"metric": "top1", "min": 0.01}], evaluations=120, calibration_nets=16)
    search = stack.client.post("/searches", body, 202)
    stack.wait_job(search["job"]["id"], 120)
    path = stack.root / "report.html"
    stack.cli("report", HOSTILE, "-o", path)
    return stack.client.get(f"/searches/{search['search']['id']}"), path.read_text()


@test("the report of a search stands alone, holds every network of its front, and no name becomes markup", 150)
def report():
    search, text = reported()
    page = Page(text)
    equal((page.bad, page.open), ([], []), "what asks for something else or runs, and what was not closed")
    check("url(" not in text and "@import" not in text, "no address in the style")
    equal(page.all("h1"), [HOSTILE], "its name")
    front = bed.client().get(f"/searches/{search['id']}/front")["items"]
    rows = page.all("th", scope="row")
    equal(sorted(rows), sorted(item["arch"] for item in front), "networks of the front")
    equal(len(page.all("circle", class_="measured")) > 0, any(m["source"] == "measured" for item in front for m in item["metrics"].values()), "measured ones are marked")
    own = search["calibrations"] or [bed.client().get(f"/profiles/{bed.profile()}")["calibration"]]
    calibration = bed.client().get(f"/calibrations/{own[-1]['id']}")
    archs = page.all("td", class_="arch")
    equal(archs, [row["arch"] for row in calibration["points"]], "residuals")
    for told in (search["checkpoint"], bed.client().get("/version")["runtime_revision"], bed.client().get("/spaces/tiny")["fingerprint"], calibration["profile_revision"], bed.client().get(f"/profiles/{bed.profile()}")["revision"]["fingerprint"]):
        check(told in text, "provenance", told)
    equal([row["role"] for row in page.elements if row["tag"] == "svg" and "role" in row], ["img"] * 3, "front, hypervolume and residuals")
    check(bed.daemon().cli("report", HOSTILE).startswith("<!DOCTYPE html>"), "printed without a file")


@test("what a report says to repeat it is the same search: by the API and by the command line", 60)
def repeated():
    search, text = reported()
    page = Page(text)
    request = json.loads(page.all("pre", id="request")[0])
    asked = bed.client().get(f"/searches/{search['id']}/request")
    equal(request, {**asked, "checkpoint": search["checkpoint"]}, "the request")
    words = shlex.split(page.all("pre", id="command")[0])
    equal(words[:4], ["espalier", "search", "create", HOSTILE], "the command")
    made = json.loads(bed.daemon().cli(*words[1:3], "by-command", *words[4:], "--json"))
    bed.client().post(f"/searches/{made['id']}/cancel", {})
    equal(bed.client().get("/searches/by-command/request"), {**request, "name": "by-command"}, "what it began")


@test("a report of what is not there, or to where nothing can be written, is refused and leaves no file")
def refused():
    stack = bed.daemon()
    path = stack.root / "none.html"
    equal(stack.cli_run("report", "no-such-search", "-o", path).returncode, 3, "no search")
    check(not path.exists(), "no file")
    reported()
    done = stack.cli_run("report", HOSTILE, "-o", stack.root / "no-folder" / "x.html")
    check(done.returncode == 1 and "cannot be written" in done.stderr, "no folder", done.stderr)
