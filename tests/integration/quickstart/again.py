"""Further runs, after a user has changed something: the board's name, its token, its enrolment, the weights."""
import bed
from suite import check, equal, test


@test("after the board was renamed, or its token revoked, the next run goes on with that board", 60)
def renamed():
    bed.first()
    ((device, _),) = bed.boards()
    with bed.daemon_alone() as client:
        client.expect(200, "PATCH", f"/devices/{device}", {"name": "kitchen"})
    bed.same_as_first(bed.run(), bed.jobs())
    equal(bed.boards(), [(device, "kitchen")], "boards")

    with bed.daemon_alone() as client:
        client.post(f"/devices/{device}/revoke", {})
    again = bed.run()
    check("enrolling anew, since the daemon says: the token is unknown or was revoked" in again.section("this machine"), "it says so", again.section("this machine"))
    bed.same_as_first(again, bed.jobs())
    equal(bed.boards(), [(device, "kitchen")], "boards")


@test("after further training the front, its scores and its network are those of its own checkpoint", 90)
def trained():
    bed.first()
    with bed.daemon_alone() as client:
        before = client.get("/searches/quickstart")["checkpoint"]
        bed.folder().wait_job(client.post("/supernets/fashion/train", {"train": {"time_budget_s": 2, "checkpoint_steps": 5}}, 202)["job"]["id"])
        newest = client.get("/supernets/fashion")["checkpoint"]
        check(newest != before, "a newer checkpoint", newest)
    jobs = bed.jobs()
    again = bed.run()
    bed.same_as_first(again, jobs)
    check(f"newest checkpoint: {newest}" in again.text and f"The front belongs to {before}" in again.text, "it says so", again.section("test images"))
    (bed.folder().root / "export/chosen.onnx").unlink()
    jobs["export"] += 1
    bed.same_as_first(bed.run(), jobs)


@test("after the board was removed the next run enrols it anew, and shows the front that was measured", 60)
def removed():
    bed.first()
    ((device, _),) = bed.boards()
    with bed.daemon_alone() as client:
        client.expect((200, 204), "DELETE", f"/devices/{device}")
    again = bed.run()
    bed.same_as_first(again, bed.jobs())
    check("enrolling anew" in again.section("this machine"), "it says so", again.section("this machine"))
    check("measured by a board that was removed" in again.section("search") and "search rm quickstart" in again.section("search"), "it says whose latencies they are", again.section("search"))
    ((other, name),) = bed.boards()
    check(other != device and name == "this-machine", "a new board", other, name)
    bed.same_as_first(bed.run(), bed.jobs())
    equal(bed.boards(), [(other, name)], "boards")
