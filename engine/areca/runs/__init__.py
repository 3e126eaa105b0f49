"""Regional runs: the block as unit of work, resume, publication, report."""

from areca.runs.batch import with_kept_batch
from areca.runs.finished import FinishedRun
from areca.runs.folder import RunFolder
from areca.runs.ledger import BlockDone
from areca.runs.plan import AskedGrid, RunPlan
from areca.runs.request import RunRequest
from areca.runs.result import RunResult
from areca.runs.run import run_census
from areca.runs.schedule import Progress

__all__ = [
    "AskedGrid",
    "BlockDone",
    "FinishedRun",
    "Progress",
    "RunFolder",
    "RunPlan",
    "RunRequest",
    "RunResult",
    "run_census",
    "with_kept_batch",
]
