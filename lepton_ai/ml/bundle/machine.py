"""Machine: what a training ran on, as far as its bytes may depend on it.

It stands beside the run in the lineage, not in the bundle: the same training gives the same bundle
wherever it comes out the same.
"""

import os
import platform
from typing import Any

from threadpoolctl import threadpool_info

__all__ = ["machine"]


def machine(workers: int) -> dict[str, Any]:
    """Return the facts of this machine.

    Args:
        workers: threads that the training may use.
    """
    # The kernels that a linear algebra library picks for a processor sum in an order of their own.
    algebra = {
        f"{each['internal_api']} {each.get('architecture', '')} {each['version']}".strip()
        for each in threadpool_info()
        if each["user_api"] == "blas"
    }
    return {
        "workers": workers,
        "processors": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "linear algebra": ", ".join(sorted(algebra)),
    }
