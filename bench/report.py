"""The result as a table for people, JSON for programs, and a picture."""
import os
import platform
import statistics
import subprocess
import time
from xml.sax.saxutils import escape

from brokers import ROOT


def machine():
    model = memory = ""
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) // (1 << 20)
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": memory,
            "kernel": platform.release()}


def commit():
    def git(*words):
        run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return run.stdout.strip()
    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "samples": values} if values else None


def compare(rows, plan, ours, theirs, floor):
    """Samples by key to one entry per row that has any."""
    result = []
    for key, text, unit, less in rows:
        a, b = summary(ours.get(key)), summary(theirs.get(key))
        if a is None or b is None:
            continue
        result.append({"key": key, "text": text.format(**plan), "unit": unit, "less_is_better": less,
                       "ours": a, "theirs": b, "floor": summary(floor.get(key)),
                       "ratio": a["median"] / b["median"] if b["median"] else None})
    return result


def make(command, plan, samples, rows):
    return {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "command": command,
            "machine": machine(),
            "plan": plan,
            "brokers": compare(rows.ROWS, plan, samples["ottla"], samples["kafka"],
                               samples["floor"]),
            "compaction": compare(rows.COMPACTION_ROWS, plan, samples["ottla"], samples["kafka"],
                                  {}),
            "clients": compare(rows.CLIENT_ROWS, plan, samples["libottla"], samples["librdkafka"],
                               {})}


# --- a table --------------------------------------------------------------------------------------

def figure(value):
    if value is None:
        return ""
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def spread(entry):
    return f"{figure(entry['min'])} to {figure(entry['max'])}"


def cells(row):
    return [", ".join(filter(None, (row["text"], row["unit"]))), figure(row["ours"]["median"]), spread(row["ours"]),
            figure(row["theirs"]["median"]), spread(row["theirs"]), figure(row["ratio"]),
            figure(row["floor"]["median"]) if row["floor"] else ""]


def lines(header, rows):
    """Columns of a table that is Markdown, too."""
    table = [header, *map(cells, rows)]
    if not any(line[-1] for line in table[1:]):
        table = [line[:-1] for line in table]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    text = ["| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                              for i, (cell, width) in enumerate(zip(line, widths))) + " |"
            for line in table]
    rule = "| " + " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":"
                             for i, width in enumerate(widths)) + " |"
    return [text[0], rule, *text[1:]]


def table(result):
    where = result["machine"]
    text = [f"{result['date']}, commit {result['commit']}, `{result['command']}`: "
            f"{where['cores']} cores of {where['processor']}, {where['memory_gib']} GiB, "
            f"Linux {where['kernel']}. Medians, least and most.", ""]
    text += lines(["", "Ottla", "spread", "Apache Kafka", "spread", "ratio", "floor"],
                  result["brokers"])
    if result["compaction"]:
        text += ["", *lines(["", "Ottla", "spread", "Apache Kafka", "spread", "ratio", "floor"],
                            result["compaction"])]
    if result["clients"]:
        text += ["", *lines(["", "libottla", "spread", "librdkafka", "spread", "ratio", "floor"],
                            result["clients"])]
    return "\n".join(text) + "\n"


# --- a picture ------------------------------------------------------------------------------------

WIDTH, LABEL, BAR, LINE, GAP = 960, 400, 330, 13, 14
COLOURS = ("#1f6f8b", "#c9a227", "#9aa0a6")


def bar(y, value, most, colour, text):
    width = max(1.0, value / most * BAR) if most else 1.0
    return (f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{LINE - 2}" fill="{colour}"/>'
            f'<text x="{LABEL + width + 6:.1f}" y="{y + LINE - 4}">{escape(text)}</text>')


def picture(result):
    """Two bars per row, each as long as its share of the longer one; the floor is a mark."""
    parts, y = [], 50
    for names, rows in ((("Ottla", "Apache Kafka"), result["brokers"]),
                        (("libottla", "librdkafka"), result["clients"])):
        for index, name in enumerate(names):
            parts.append(f'<rect x="{LABEL + index * 130}" y="{y - 22}" width="11" height="11" '
                         f'fill="{COLOURS[index]}"/><text x="{LABEL + 17 + index * 130}" '
                         f'y="{y - 12}">{name}</text>')
        for row in rows:
            ours, theirs = row["ours"]["median"], row["theirs"]["median"]
            most = max(ours, theirs)
            label = f"{row['text']}, {row['unit']}"
            parts.append(f'<text x="{LABEL - 10}" y="{y + LINE + 2}" text-anchor="end">'
                         f'{escape(label)}</text>')
            ratio = f"   ×{figure(row['ratio'])}" if row["ratio"] is not None else ""
            parts.append(bar(y, ours, most, COLOURS[0], figure(ours) + ratio))
            parts.append(bar(y + LINE, theirs, most, COLOURS[1], figure(theirs)))
            if row["floor"]:
                x = LABEL + min(row["floor"]["median"] / most, 1) * BAR
                parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 2}" y2="{y + 2 * LINE}" '
                             f'stroke="{COLOURS[2]}" stroke-width="2"/>')
            y += 2 * LINE + GAP
        y += 40
    title = f"Ottla and Apache Kafka, {result['date']}, commit {result['commit']}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
            f'viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="12" fill="#222">'
            f'<rect width="100%" height="100%" fill="white"/>'
            f'<text x="10" y="18" font-weight="bold">{escape(title)}</text>'
            + "".join(parts) +
            f'<text x="10" y="{y - 10}">Shorter is better, except for MiB/s. The grey mark is the '
            f'floor program.</text></svg>\n')
