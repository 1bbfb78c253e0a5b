"""Where UCI Online Retail's daily CSVs are, and an installation that reads them. What is measured stays out."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = ROOT.parent / "shared" / "data" / "online_retail" / "daily"


def data_folder() -> Path | None:
    """The folder given on the command line, or the default; None, after saying so, where there is no such folder."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DATA
    if data.is_dir():
        return data
    print(f"{data}: no such folder; give the folder of Online Retail's daily CSVs")
    return None


def environment(home: str, data: Path) -> dict[str, str]:
    """The variables of an installation in `home` that reads `data`."""
    return {
        **os.environ,
        "RECSYS_HOME": home,
        "RECSYS_LANDING": str(data),
        "RECSYS_CONFIG": str(ROOT / "examples" / "online_retail" / "recsys.yaml"),
    }
