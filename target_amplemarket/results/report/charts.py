"""The border to pygal: charts as SVG that belongs into a page, without its script, fonts and colours."""

from __future__ import annotations

import sys
from itertools import starmap
from typing import Any
from xml.etree import ElementTree as ET

import pygal  # type: ignore[import-untyped]  # it has no types
from pygal.style import Style  # type: ignore[import-untyped]  # it has no types

from target_amplemarket.results.report.facts import Timeline

sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
"""What pygal lays into Python's import for plugins of its own warns at every later import."""

_SVG = "http://www.w3.org/2000/svg"
_FONT = "system-ui, sans-serif"


def timeline_svg(times: Timeline, *, width: int, chart_id: str) -> str:
    """Rows recorded over time, stacked by status."""
    chart = pygal.StackedLine(
        fill=True, show_dots=False, show_legend=False, width=width, height=round(width * 0.2 + 150), margin=4,
        spacing=6, js=(), style=_style(list(times.recorded)), x_labels=[_seconds(moment) for moment in times.moments_s],
        x_labels_major_count=4 if width < 500 else 8, show_minor_x_labels=False, y_labels_major_count=4,
        show_minor_y_labels=False, truncate_label=-1, include_x_axis=True,
        value_formatter=lambda value: f"{value:,.0f}", pretty_print=False, disable_xml_declaration=True,
    )  # fmt: skip
    for status, counts in times.recorded.items():
        chart.add(status, counts)
    text = "; ".join(starmap(_in_words, times.recorded.items()))
    return _embedded(chart, "Rows recorded over time", f"By the end: {text}.", chart_id)


def _in_words(status: str, counts: list[int]) -> str:
    return f"{counts[-1]:,} {status}"


def _seconds(moment_s: float) -> str:
    if moment_s < 120:
        return f"{moment_s:.0f} s"
    return f"{moment_s / 60:.0f} min" if moment_s < 7_200 else f"{moment_s / 3_600:.1f} h"


def _style(statuses: list[str]) -> Any:  # pygal has no types
    return Style(
        background="transparent", plot_background="transparent", foreground="var(--soft)",
        foreground_strong="var(--ink)", foreground_subtle="var(--line)", guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)", opacity=".75", opacity_hover=".75", transition="0s",
        colors=tuple(f"var(--{status}, var(--left))" for status in statuses), font_family=_FONT,
        label_font_family=_FONT, major_label_font_family=_FONT, label_font_size=13, major_label_font_size=13,
    )  # fmt: skip


def _embedded(chart: Any, title: str, text: str, chart_id: str) -> str:
    """The chart's SVG with a text alternative in place of what pygal puts in for its script and tooltips."""
    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in list(parent):
            unwanted = not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in {"script", "title", "desc"}
            if unwanted or (child.get("class") or "").startswith("tooltip"):
                parent.remove(child)
    tree.attrib |= {"role": "img", "aria-labelledby": f"{chart_id}-title {chart_id}-text"}
    tree.insert(0, _named("title", f"{chart_id}-title", title))
    tree.insert(1, _named("desc", f"{chart_id}-text", text))
    ET.register_namespace("", _SVG)
    return ET.tostring(tree, encoding="unicode")


def _named(tag: str, element_id: str, text: str) -> ET.Element:
    element = ET.Element(tag, id=element_id)
    element.text = text
    return element
