"""The flow from streams over statuses to lists and reasons, as ribbons in an SVG.

Nothing that is kept draws such a flow without JavaScript, so these are the few lines that do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from target_amplemarket.results.report.facts import ReportedRun, in_order

_NODE: Final = 10.0  # width of a node
_GAP: Final = 6.0
_SLOT: Final = 34.0  # least height of a node with its two lines of label
_TALLEST: Final = 260.0  # all records together
_MOST_SHOWN: Final = 6  # nodes of an outer column

Key = tuple[int, str]
"""Column and name."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Nodes by column, and how many records go from one to another."""

    columns: tuple[list[str], list[str], list[str]]
    kinds: Mapping[Key, str]  # the status that gives a node its colour
    links: Mapping[tuple[Key, Key], int]

    def count(self, node: Key) -> int:
        """Records that come through a node."""
        into = sum(count for (_, target), count in self.links.items() if target == node)
        out = sum(count for (source, _), count in self.links.items() if source == node)
        return max(into, out)


def flow_of(run: ReportedRun) -> Flow:
    """Records by stream, what they became, and in which list they are or for which reason they are not."""
    first, last = _streams(run), _ends(run)
    links: Counter[tuple[Key, Key]] = Counter()
    for (stream, status), count in first.items():
        links[(0, stream), (1, status)] += count
    for (status, end), count in last.items():
        links[(1, status), (2, end)] += count
    statuses = in_order({status for _, status in first} - {"left"}) + ["left"] * any(s == "left" for _, s in first)
    kinds = {(1, status): status for status in statuses} | {(2, end): status for status, end in last}
    ends = sorted(dict.fromkeys(end for _, end in last), key=lambda end: statuses.index(kinds[2, end]))
    return Flow((list(dict.fromkeys(stream for stream, _ in first)), statuses, ends), kinds, links)


def _streams(run: ReportedRun) -> Counter[tuple[str, str]]:
    ranked = sorted(run.streams, key=lambda name: -run.streams[name].records)
    shown = {name: name for name in ranked[:_MOST_SHOWN]}
    flows: Counter[tuple[str, str]] = Counter()
    for name in ranked:
        stream, label = run.streams[name], shown.get(name, f"{len(ranked) - _MOST_SHOWN:,} other streams")
        flows.update({(label, status): count for status, count in stream.statuses.items()})
        if left := stream.records - sum(stream.statuses.values()):
            flows[label, "left"] += left
    return flows


def _ends(run: ReportedRun) -> Counter[tuple[str, str]]:
    flows: Counter[tuple[str, str]] = Counter()
    for status in in_order(run.statuses):
        lists = [(entry.name, entry.lead_count) for entry in run.lists if entry.status == status]
        reasons = list(run.reasons.get(status, {}).items())
        noun, ends = ("lists", lists) if lists or status in {"accepted", "planned", "held"} else ("reasons", reasons)
        ranked = sorted(ends, key=lambda end: -end[1])
        for name, count in ranked[:_MOST_SHOWN]:
            flows[status, name] += count
        if rest := sum(count for _, count in ranked[_MOST_SHOWN:]):
            flows[status, f"{len(ranked) - _MOST_SHOWN:,} other {noun} ({status})"] += rest
    return flows


def flow_svg(flow: Flow, *, width: int, chart_id: str) -> str:
    """Draw it, `width` pixels wide at its natural size."""
    total = max(1, sum(flow.count((0, name)) for name in flow.columns[0]))
    places, height = _places(flow, width, _TALLEST / total)
    names = {"role": "img", "aria-labelledby": f"{chart_id}-title {chart_id}-text"}
    svg = ET.Element("svg", {"viewBox": f"0 0 {width} {height:.0f}", "class": "flow", **names})
    ET.SubElement(svg, "title", id=f"{chart_id}-title").text = "Where the records went"
    ET.SubElement(svg, "desc", id=f"{chart_id}-text").text = _in_words(flow)
    _draw_ribbons(svg, flow, places, _TALLEST / total)
    for (column, name), (x, y) in places.items():
        kind = {"data-kind": flow.kinds[column, name]} if (column, name) in flow.kinds else {}
        node_height = max(2.0, flow.count((column, name)) * _TALLEST / total)
        box = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{_NODE}", "height": f"{node_height:.1f}"}
        ET.SubElement(svg, "rect", {**box, "class": "node", **kind})
    for key, place in places.items():
        _draw_label(svg, key, flow.count(key), place, width)
    return ET.tostring(svg, encoding="unicode")


def _places(flow: Flow, width: int, scale: float) -> tuple[dict[Key, tuple[float, float]], float]:
    """Upper left corner of every node, and the height of the whole."""
    places: dict[Key, tuple[float, float]] = {}
    bottom = 0.0
    for column, (names, x) in enumerate(zip(flow.columns, (0.0, width * 0.34, width - _NODE), strict=True)):
        y = 2.0
        for name in names:
            places[column, name] = (x, y)
            y += max(_SLOT, flow.count((column, name)) * scale) + _GAP
        bottom = max(bottom, y)
    return places, bottom


def _draw_ribbons(svg: ET.Element, flow: Flow, places: Mapping[Key, tuple[float, float]], scale: float) -> None:
    out, into = {key: y for key, (_, y) in places.items()}, {key: y for key, (_, y) in places.items()}
    for (source, target), count in sorted(
        flow.links.items(), key=lambda link: (places[link[0][0]], places[link[0][1]])
    ):
        thick = max(1.0, count * scale)
        x0, y0, x1, y1 = places[source][0] + _NODE, out[source], places[target][0], into[target]
        out[source], into[target] = y0 + count * scale, y1 + count * scale
        middle = (x0 + x1) / 2
        path = (
            f"M{x0:.1f} {y0:.1f}C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
            f"v{thick:.1f}C{middle:.1f} {y1 + thick:.1f} {middle:.1f} {y0 + thick:.1f} {x0:.1f} {y0 + thick:.1f}Z"
        )
        kind = flow.kinds.get(target, flow.kinds.get(source, "left"))
        ET.SubElement(svg, "path", {"d": path, "class": "ribbon", "data-kind": kind})


def _draw_label(svg: ET.Element, key: Key, count: int, place: tuple[float, float], width: int) -> None:
    column, name = key
    x, y = place
    is_last = column == 2
    at = x - 5 if is_last else x + _NODE + 5
    anchor = "end" if is_last else "start"
    room = int((width * (0.40 if is_last else 0.30) - 15) / 6.6)
    for line, text in enumerate((_cut(name, room), f"{count:,}")):
        place_of = {"x": f"{at:.1f}", "y": f"{y + 13 + 15 * line:.1f}", "text-anchor": anchor}
        ET.SubElement(svg, "text", place_of | ({"class": "count"} if line else {})).text = text


def _cut(name: str, room: int) -> str:
    """Cut in the middle, since the names of lists differ at their ends."""
    if len(name) <= room:
        return name
    half = max(2, (room - 1) // 2)
    return f"{name[:half]}…{name[-half:]}"


def _in_words(flow: Flow) -> str:
    links = (f"{count:,} from {source} to {target}" for ((_, source), (_, target)), count in flow.links.items())
    return "; ".join(links) + "." if flow.links else "No records."
