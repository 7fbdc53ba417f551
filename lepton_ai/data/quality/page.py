"""The report as a page: one HTML file that needs nothing else."""

from html import escape
from typing import TYPE_CHECKING

from lepton_ai.data.analysis.page import document, facts

if TYPE_CHECKING:
    from lepton_ai.data.quality.check import Finding, QualityReport

__all__ = ["page"]

# A mark besides the colour, for those who do not see it.
_MARKS = {"ok": "✓ holds", "error": "✗ error", "warning": "! warning"}
_COLOURS = {"ok": "#047857", "error": "var(--warn)", "warning": "#b45309"}
_WIDTH = 104


def page(report: "QualityReport") -> str:
    """Return a report as HTML."""
    verdict = "holds" if report.passed else "fails"
    title = f"Data quality of {report.subject}: {verdict}"
    figures = facts(
        [
            ("rows", f"{report.rows:,}"),
            ("rules", f"{len(report.findings):,}"),
            ("rules that hold", f"{report.held:,}"),
            (
                "most rows that break one rule",
                f"{max((f.failed for f in report.findings), default=0):,}",
            ),
        ]
    )
    rows = "".join(_row(finding) for finding in report.findings)
    return document(
        title,
        f"<h1>{escape(title)}</h1><p>checked {report.checked_at:%Y-%m-%d %H:%M} UTC</p>{figures}"
        "<table><thead><tr><th></th><th>rule</th><th class='n'>rows that fail</th><th></th>"
        f"<th>found</th></tr></thead><tbody>{rows}</tbody></table>",
    )


def _row(finding: "Finding") -> str:
    kind = "ok" if finding.passed else finding.severity
    mark = f"<td class='soft'><b style='color:{_COLOURS[kind]}'>{_MARKS[kind]}</b></td>"
    # One row of a million shows too.
    width = max(2.0, _WIDTH * finding.share)
    bar = (
        f"<svg width='{_WIDTH}' height='12' style='margin-top:.35rem'>"
        f"<rect width='{_WIDTH}' height='12' rx='3' fill='var(--line)'/>"
        f"<rect width='{width:.1f}' height='12' rx='3' fill='{_COLOURS[kind]}'/></svg>"
    )
    count = f"{finding.failed:,} ({finding.share:.1%})" if finding.failed else ""
    return (
        f"<tr>{mark}<td>{escape(finding.sentence)}</td><td class='n'>{count}</td>"
        f"<td>{bar if finding.failed else ''}</td><td>{escape(finding.detail)}</td></tr>"
    )
