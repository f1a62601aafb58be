"""Calibrations that are asked for by themselves, outside of a search."""
import json
import os
import subprocess
from urllib.parse import quote

import bed
import data
from client import problem
from search_boards import Skewed
from stack import CLI
from suite import at_end, check, equal, once, test, wait_for


@once
def board():
    """One with a table of the space, on which no whole network was measured."""
    stack = bed.daemon()
    bed.supernet()
    played = Skewed(stack.port, "lonely").enrol(stack.enrolment_token())
    lacks = problem(bed.client().request("POST", "/calibrations", {"profile": played.profile_id, "space": "tiny"}), 409, pointer="/profile")
    check(f"no latency table of the space: build it first (espalier latency build {played.profile_id} tiny)" in lacks["detail"], "what to do first", lacks)
    played.serve()
    at_end(played.rest)
    stack.wait_job(bed.client().post("/tables", {"profile": played.profile_id, "space": "tiny", "method": "brief"}, 202)["job"]["id"])
    return played


def ask(**changes):
    return bed.client().post("/calibrations", {"profile": board().profile_id, "space": "tiny", **changes}, 202)


def measured():
    """Archs of whole networks, one for each time that it was measured."""
    return [row["arch"] for row in bed.client().items(f"/measurements?profile={board().profile_id}&kind=network&state=accepted")]


def waiting():
    return bed.client().items(f"/measurements?profile={board().profile_id}&kind=network&state=queued")


@test("a calibration outside of a search: networks are chosen, measured by the full method, and fitted; what is known counts the next time", 120)
def asked_for():
    client, stack, profile = bed.client(), bed.daemon(), board().profile_id
    for pointer, changes in (("/networks", {"networks": 129}), ("/networks", {"networks": -1}), ("/networks", {"networks": 2}), ("/networks", {"networks": 0}), ("/seed", {"seed": -1}), ("/profile", {"profile": "none"}),
                             ("/space", {"space": "nowhere"}), ("/method", {"method": "full"})):
        problem(client.request("POST", "/calibrations", {"profile": profile, "space": "tiny", **changes}), (404, 422), pointer=pointer)
    equal(measured(), [], "measured before")
    first = ask(networks=6, seed=3)
    equal(first["calibration"], {"id": first["calibration"]["id"], "profile_id": profile, "networks": 6, "n_known": 0}, "what is promised: no version, which is given when it is stored")
    equal((first["job"]["kind"], first["job"]["subject"]), ("calibrate", first["calibration"]["id"]), "the job")
    done = stack.wait_job(first["job"]["id"])
    fitted = client.get(f"/calibrations/{first['calibration']['id']}")
    equal((fitted["search"], fitted["version"], fitted["n"], fitted["n_known"], fitted["space_fingerprint"]), (None, 1, 6, 0, client.get("/spaces/tiny")["fingerprint"]), "what was fitted")
    equal({key: done["result"][key] for key in ("networks", "measured", "n", "rung", "notes")}, {"networks": 6, "measured": 6, "n": 6, "rung": fitted["rung"], "notes": []}, "the result")
    equal(len(done["attempts"]), 1, "attempts")
    equal(sorted(point["arch"] for point in fitted["points"]), sorted(measured()), "networks that it was judged on")
    check(fitted["after"]["mape"] < fitted["before"]["mape"] and 0 <= fitted["after"]["coverage"] <= 1, "its quality", fitted["after"])
    equal({row["method"].split("/")[0] for row in client.items(f"/measurements?profile={profile}&kind=network")}, {"full"}, "methods")
    behind = client.get(f"/archs?space=tiny&profile={profile}&arch={quote(data.SMALL_ARCH)}")["latency"]["calibration"]
    equal(behind, {"version": 1, "n": 6, "rung": fitted["rung"]}, "what stands behind a prediction")
    check(f"version 1 on 6 networks, {fitted['rung']}" in stack.cli("arch", "show", "tiny", data.SMALL_ARCH, "-p", profile), "which the client shows")
    again = ask(networks=4, seed=3)
    equal(again["calibration"]["n_known"], 6, "the next one")
    stack.wait_job(again["job"]["id"])
    equal(client.get(f"/calibrations/{again['calibration']['id']}")["version"], 2, "its version")
    equal((len(measured()), len(set(measured()))), (10, 10), "no network is measured twice")
    equal(client.get(f"/profiles/{profile}")["calibration"]["id"], again["calibration"]["id"], "the profile's")
    equal([row["id"] for row in client.items(f"/calibrations?profile={profile}")], [again["calibration"]["id"], first["calibration"]["id"]], "the list")


@test("the client asks for a calibration, waits for it and says what it got", 120)
def by_client():
    stack, profile = bed.daemon(), board().profile_id
    before = len(measured())
    shown = stack.cli_run("latency", "calibrate", "--profile", "lonely", "--space", "tiny", "--networks", "4", "--wait")
    told = dict(line.split("\t", 1) for line in shown.stdout.splitlines())
    equal((shown.returncode, told["networks"].strip(), told["known before"].strip()), (0, str(before + 4), str(before)), f"what it says: {shown}")
    for word in ("rung", "version", "error, out of sample", "within 5 %", "within 10 %", "Kendall tau", "90 % interval", "measured inside it"):
        check(told[word].strip(), word, shown.stdout)
    check(f"espalier latency residuals {told['calibration'].strip()}" in shown.stdout + shown.stderr, "what more there is", shown)
    fitted = json.loads(stack.cli("latency", "calibrate", "lonely", "tiny", "-n", "0", "--wait", "--json"))
    equal((fitted["profile_id"], fitted["n"], fitted["n_known"], len(measured())), (profile, before + 4, before + 4, before + 4), "fitted to what is known alone")
    started = json.loads(stack.cli("latency", "calibrate", "lonely", "-s", "tiny", "-n", "0", "--json"))
    wait_for("the calibration", lambda: bed.client().request("GET", f"/calibrations/{started['id']}").status == 200)
    equal(json.loads(stack.cli("job", "ls", "--kind", "calibrate", "--json"))[0]["subject"], started["id"], "the list of jobs")
    for words, status, said in ((("lonely",), 2, "a profile and a space are needed"), (("lonely", "tiny", "-p", "lonely"), 2, "once each"), (("lonely", "tiny", "-n", "200"), 1, "networks must be from 0 to 128, not 200 (/networks)")):
        done = stack.cli_run("latency", "calibrate", *words)
        equal(done.returncode, status, f"exit code of {words}")
        check(said in done.stderr, f"the reason of {words}", done.stderr)


@test("a calibration whose job is killed goes on with what was measured; a cancelled one asks for nothing until it is tried again", 150)
def interrupted():
    client, stack = bed.client(), bed.daemon()
    before = len(measured())
    board().rest()
    asked = ask(networks=5)
    wait_for("its requests", lambda: len(waiting()) == 5)
    wait_for("the end of its process", stack.kill_job)
    board().serve()  # while another board waits, the job's next attempt would be held back for the turn of this one
    done = stack.wait_job(asked["job"]["id"])
    equal((len(done["attempts"]), done["result"]["measured"]), (2, 5), "attempts")
    equal((len(measured()), len(set(measured()))), (before + 5, before + 5), "no network is measured twice")
    equal(client.get(f"/calibrations/{asked['calibration']['id']}")["n"], before + 5, "networks")
    board().rest()
    asked = ask(networks=3)
    wait_for("its requests", lambda: len(waiting()) == 3)
    stack.cli("job", "cancel", asked["job"]["id"])
    canceled = stack.wait_job(asked["job"]["id"], state="canceled")
    equal((done["subject_name"], canceled["subject_name"]), (client.get(f"/profiles/{board().profile_id}")["name"], None), "the name of what they work on, once it is fitted")
    equal(waiting(), [], "what waits to be measured for it")
    problem(client.request("GET", f"/calibrations/{asked['calibration']['id']}"), 404)
    client.post(f"/jobs/{asked['job']['id']}/retry", {}, 202)
    board().serve()
    stack.wait_job(asked["job"]["id"])
    equal(client.get(f"/calibrations/{asked['calibration']['id']}")["n"], before + 8, "networks in the end")


@test("a program that waits for a calibration is told what it is also where it was cancelled", 60)
def told_to_programs():
    stack = bed.daemon()
    board().rest()
    command, environment = [str(CLI), "latency", "calibrate", "lonely", "tiny", "-n", "3", "--seed", "9", "--wait"], {**os.environ, "ESPALIER_URL": stack.url}
    for words, told, member in ((("--json",), lambda text: json.loads(text)["id"], "subject"), (("--get", "job.id"), str.strip, "id")):
        with subprocess.Popen([*command, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            wait_for("its requests", lambda: len(waiting()) == 3)
            job = bed.client().items("/jobs?kind=calibrate")[0]
            stack.cli("job", "cancel", job["id"])
            out, err = running.communicate(timeout=30)
        equal(told(out), job[member], f"what is told of it, by {words}: {err}")
        equal((running.returncode, waiting()), (6, []), "exit code, and what waits")


@test("a board that was removed measures nothing more; what it has measured can still be fitted", 60)
def removed():
    client, stack, profile = bed.client(), bed.daemon(), board().profile_id
    if not measured():
        stack.wait_job(ask(networks=3)["job"]["id"])
    board().rest()
    client.expect(204, "DELETE", f"/devices/{client.get(f'/profiles/{profile}')['device']}")
    gone = problem(client.request("POST", "/calibrations", {"profile": profile, "space": "tiny"}), 409, pointer="/profile")
    check("the board of this profile was removed" in gone["detail"], "the reason", gone)
    known = ask(networks=0)
    stack.wait_job(known["job"]["id"])
    equal(client.get(f"/calibrations/{known['calibration']['id']}")["n"], known["calibration"]["n_known"], "networks")
