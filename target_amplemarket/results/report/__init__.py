"""The report of a run: one HTML page that loads nothing, runs nothing, and holds no value of a record."""

from target_amplemarket.results.report.write import render_report, write_report

__all__ = ["render_report", "write_report"]
