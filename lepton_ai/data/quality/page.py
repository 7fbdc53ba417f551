"""The report as a page: one HTML file that needs nothing else."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lepton_ai.data.quality.check import Finding, QualityReport

__all__ = ["page"]

_STYLE = """
body { font: 15px system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; color: #111827 }
table { border-collapse: collapse; width: 100% }
td, th { padding: .45rem .6rem; text-align: left; border-bottom: 1px solid #e5e7eb }
td { vertical-align: top }
th { color: #4b5563; font-weight: 600 }
tr.ok td:first-child { color: #047857 }
tr.error td:first-child { color: #b91c1c; font-weight: 700 }
tr.warning td:first-child { color: #b45309 }
td.number { white-space: nowrap }
"""


def page(report: "QualityReport") -> str:
    """Return a report as HTML."""
    verdict = "holds" if report.passed else "fails"
    rows = "".join(_row(finding) for finding in report.findings)
    when = f"{report.checked_at:%Y-%m-%d %H:%M} UTC"
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Data quality</title>"
        f"<style>{_STYLE}</style><h1>Data quality of {escape(report.subject)}: {verdict}</h1>"
        f"<p>{report.rows:,} rows, {len(report.findings)} rules, {report.score:.0%} hold; checked "
        f"{when}</p><table><tr><th></th><th>rule</th><th>rows that fail</th><th>share</th>"
        f"<th>found</th></tr>{rows}</table></html>"
    )


def _row(finding: "Finding") -> str:
    kind = "ok" if finding.passed else finding.severity
    bar = (
        "<svg width='104' height='12'><rect width='104' height='12' rx='3' fill='#e5e7eb'/>"
        f"<rect width='{104 * finding.share:.1f}' height='12' rx='3' fill='#b45309'/></svg>"
    )
    return (
        f"<tr class='{kind}'><td>{'holds' if finding.passed else kind}</td>"
        f"<td>{escape(finding.sentence)}</td><td>{finding.failed:,}</td>"
        f"<td class='number'>{bar} {finding.share:.1%}</td><td>{escape(finding.detail)}</td></tr>"
    )
