"""What came of the rounds, as text for a terminal or as Markdown."""
import statistics


def spread(values):
    """Median, least, most."""
    return statistics.median(values), min(values), max(values)


def short(value):
    """Three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def with_spread(values):
    middle, least, most = spread(values)
    if len(values) == 1:
        return short(middle)
    return f"{short(middle)} ({short(least)}–{short(most)})"


class Results:
    """Of one scenario: for each system, its runs."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.ours = scenario.ours  # the system that the others are set beside
        self.runs = {}      # system's name → list of figures by name
        self.families = {}  # system's name → what the aims call it
        self.failures = []  # (system's name, why)

    def add(self, system, figures):
        self.families[system.name] = system.family
        self.runs.setdefault(system.name, []).append(figures)

    def values(self, name, figure):
        return [each[figure] for each in self.runs.get(name, []) if figure in each]

    def median(self, name, figure):
        values = self.values(name, figure)
        return statistics.median(values) if values else None

    def parts(self, name, figure):
        """Of a figure that each process has: the medians, in the order in which they were started, the client last."""
        runs = [each[figure] for each in self.runs[name] if figure in each]
        return {label: statistics.median([each[label] for each in runs]) for label in runs[0]} if runs else {}

    def ratio(self, name, figure):
        """Of ours to that."""
        ours, theirs = self.median(self.ours, figure), self.median(name, figure)
        return ours / theirs if ours is not None and theirs else None


class Aim:
    """waggle's figure is to be at least (rates) or at most (all others) `factor` times that of each system of a family, or `limit`."""

    def __init__(self, what, figure, family=None, factor=None, limit=None, ours="waggle", at_least=False):
        self.what, self.figure, self.family, self.factor, self.limit, self.ours, self.at_least = what, figure, family, factor, limit, ours, at_least

    def said(self, results):
        """Lines: (what, against whom, what is, what should be, met or by how much missed)."""
        value = results.median(self.ours, self.figure)
        if self.limit is not None:
            yield (self.what, "", short(value) if value is not None else "–", bound(self.limit, self.at_least),
                   "failed" if value is None and any(name == self.ours for name, _ in results.failures) else self.verdict(value, self.limit))
            return
        others = [name for name in results.runs if results.families[name] == self.family and name != self.ours]
        if not others:
            yield (self.what, self.family, "–", bound(self.factor, self.at_least) + " ×", "not measured")
        for name in others:
            theirs = results.median(name, self.figure)
            ratio = value / theirs if value is not None and theirs else None
            who = name if self.ours == "waggle" else f"{name} (of {self.ours})"
            is_now = f"{short(ratio)} ×" if ratio is not None else "–"
            yield (self.what, who, is_now, bound(self.factor, self.at_least) + " ×", self.verdict(ratio, self.factor))

    def verdict(self, value, wanted):
        if value is None:
            return "not measured"
        if value >= wanted if self.at_least else value <= wanted:
            return "met"
        return f"missed by {abs(value - wanted) / wanted * 100:.0f} %"


def bound(value, at_least):
    return ("≥ " if at_least else "≤ ") + short(value)


def drawn(rows, heading, markdown):
    """Columns: the first to the left, others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    if markdown:
        def line(cells):
            return "| " + " | ".join(cells) + " |"
        return "\n".join([line(heading), "|---" + "|---:" * (len(heading) - 1) + "|"] + [line(row) for row in rows])
    widths = [max(len(row[i]) for row in [heading] + rows) for i in range(len(heading))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in [heading] + rows)


def parted(parts):
    return " + ".join(f"{label} {short(value)}" for label, value in parts.items())


def load_table(results, markdown):
    """Calls or requests; then what each process had of it."""
    what = results.scenario.unit
    heading = ["", f"{what}/s", "to it", "p50 µs", "p99 µs", f"CPU s per million {what}", "to it"]
    shares = ["", f"CPU s per million {what}, by process", "peak MB, by process"]
    if bundles := any(results.values(name, "bundle") for name in results.runs):
        shares.append("frames per bundle")

    def of(name, figure):
        values = results.values(name, figure)
        return with_spread(values) if values else "–"

    def to_it(name, figure):
        ratio = results.ratio(name, figure)
        return "" if name == results.ours else "–" if ratio is None else short(ratio) + " ×"
    rows = [[name, of(name, "rate"), to_it(name, "rate"), of(name, "p50"), of(name, "p99"), of(name, "cpu"), to_it(name, "cpu")] for name in results.runs]
    parts = [[name, parted(results.parts(name, "cpus")), parted(results.parts(name, "peaks"))] + ([of(name, "bundle")] if bundles else [])
             for name in results.runs]
    return drawn(rows, heading, markdown) + "\n\n" + drawn(parts, shares, markdown)


def failures(results):
    """Calls that did not succeed, which spoil a rate."""
    for name, runs in results.runs.items():
        if bad := sum(each.get("failed", 0) + each.get("lost", 0) for each in runs):
            yield f"{name}: {bad:.0f} {results.scenario.unit} failed or were lost"


def others(results):
    """That the machine was not quiet, if it was not."""
    shares = [each["others"] for runs in results.runs.values() for each in runs if "others" in each]
    if shares and max(shares) > 0.05:
        yield (f"The machine was not quiet: of its processors others had {statistics.median(shares) * 100:.0f} % ({min(shares) * 100:.0f}–{max(shares) * 100:.0f} %) "
               "during these runs. Rates and times suffer most.")


def memory_table(results, markdown):
    rows = [[name, with_spread(results.values(name, "megabytes"))] for name in results.runs]
    return drawn(rows, ["", "resident MB"], markdown)


def aims_table(results, aims, markdown):
    rows = [line for aim in aims for line in aim.said(results)]
    return drawn([[what + (f", beside {who}" if who else ""), value, wanted, verdict] for what, who, value, wanted, verdict in rows],
                 ["aim", "is", "should be", ""], markdown)
