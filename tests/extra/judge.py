"""What a script's figures have to be. A script prints its figures, asks a Judge of each that has a bound, and ends with
sys.exit(judge.end()): one line for each figure, one sentence more for each that is missed, exit status 1 if there is one.

>>> judge = Judge()
>>> judge.at_least("top-1 of seed 1", 81.9, 81.7, " %")
ok: top-1 of seed 1: 81.9 %, at least 81.7 %
>>> judge.at_most("mean error", 3.46, 3.2, " %")
MISSED: mean error: 3.46 %, at most 3.2 %
>>> judge.at_most("mean error", None, 3.2, " %")
MISSED: mean error: no figure, at most 3.2 %
>>> judge.at_least("coverage", float("nan"), 0.9)
MISSED: coverage: nan, at least 0.9
>>> judge.check(False, "rows agree")
MISSED: rows agree
>>> judge.end()
4 of 5 figures were missed:
  mean error: 3.46 %, at most 3.2 %
  mean error: no figure, at most 3.2 %
  coverage: nan, at least 0.9
  rows agree
1
>>> Judge().end()
no figure was judged
1
"""


class Judge:
    def __init__(self):
        self.judged, self.missed = 0, []

    def check(self, good, text):
        self.judged += 1
        if not good:
            self.missed.append(text)
        print(f"{'ok' if good else 'MISSED'}: {text}", flush=True)

    def at_least(self, what, value, bound, unit=""):
        self.check(value is not None and value >= bound, f"{what}: {figure(value, unit)}, at least {bound:g}{unit}")

    def at_most(self, what, value, bound, unit=""):
        self.check(value is not None and value <= bound, f"{what}: {figure(value, unit)}, at most {bound:g}{unit}")

    def end(self):
        """Says what was missed; the exit status. A script that judged nothing has failed too."""
        if self.judged == 0:
            print("no figure was judged")
        elif self.missed:
            print(f"{len(self.missed)} of {self.judged} figures were missed:", *self.missed, sep="\n  ")
        else:
            print(f"all {self.judged} figures are met")
        return 1 if self.missed or self.judged == 0 else 0


def figure(value, unit):
    return "no figure" if value is None else f"{value:.6g}{unit}"
