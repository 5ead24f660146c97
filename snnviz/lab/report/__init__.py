"""A run as one HTML file without a kernel; may import neurons, page, schedule, session, views."""

from snnviz.lab.report.export import export_html

__all__ = ["export_html"]
