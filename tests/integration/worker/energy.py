"""Energy of a run: by played sensors of the board, by a command's own figure, by a simulated board's power."""
import bed
from backends import FLAT, RUNTIME, exec_config, worker
from profiles import ARCHS, offered
from suite import check, equal, test


def play(name, files):
    """A root in place of /sys."""
    root = bed.daemon().root / f"sysfs-{name}"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return str(root)


CHIP = {"class/hwmon/hwmon0/name": "ina219\n", "class/hwmon/hwmon0/power1_input": "3000000\n", "class/thermal/thermal_zone0/temp": "41500\n", "class/thermal/thermal_zone1/temp": "52000\n",
        "devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n", "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n"}


@test("a board whose sensor says three watts reports three microjoules for each microsecond; its temperature and governor come from there too")
def sensor():
    process = bed.daemon().start_worker("metered", "--sysfs-root", play("metered", CHIP))
    (profile,) = offered("metered", 1)
    equal(profile["governor"], "performance", "the governor")
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[-1:])[0], "accepted", 60)
    mean_w = doc["energy_uj"] / doc["mean_us"]
    check(2.9 < mean_w < 4.5, "about three watts", doc["energy_uj"], doc["mean_us"])
    equal(doc["energy_source"], "ina219", "where it comes from")
    equal((doc["environment"]["before"]["temperature_c"], doc["environment"]["before"]["frequency_khz"]), (52, 1500000), "the hottest zone, and the frequency")
    row = next(r for r in bed.client().items(f"/measurements?profile={profile['id']}&kind=network"))
    equal(row["energy_uj"], doc["energy_uj"], "the list has it too")
    process.stop()
    process = bed.daemon().start_worker("metered", "--sysfs-root", play("metered", CHIP), "--energy-sensor", "none")
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[-2:-1])[0], "accepted", 60)
    equal((doc["energy_uj"], doc["energy_source"]), (None, None), "none, when the owner says so")
    process.stop()


@test("a command's own energy is what is reported, unless it runs on the board's processor; a simulated board has its watts")
def told():
    root = play("told", CHIP)
    for name, members, energy in (("joule", {}, (820.5, "exec")), ("good", {}, (None, None)), ("good", {"board_energy": True}, "ina219")):
        board = f"told-{name}-{len(members)}"
        process, profile = worker(board, exec_config(board, command=[str(RUNTIME), name], **members), "exec", "--sysfs-root", root)
        doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[:1])[0], "accepted", 60)
        if energy == "ina219":
            equal(doc["energy_source"], energy, "the board's sensor")
            check(doc["energy_uj"] > 0, "its figure", doc["energy_uj"])
        else:
            told = doc["energy_uj"] and round(doc["energy_uj"], 6)  # it was summed over the runs
            equal((told, doc["energy_source"]), energy, f"energy of {board}")
        process.stop()
    _, profile = worker("watts", FLAT + ",noise=0.01,watts=2.5", "sim", "--sysfs-root", root)
    doc = bed.wait_state(bed.ask(profile["id"], archs=ARCHS[:1])[0], "accepted")
    check(abs(doc["energy_uj"] / doc["mean_us"] - 2.5) < 0.01, "2.5 W", doc["energy_uj"], doc["mean_us"])
    equal(doc["energy_source"], "sim", "its source")
