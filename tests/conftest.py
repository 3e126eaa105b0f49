"""Fixtures that every test may use."""

from pathlib import Path

import dask
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real imagery and labels that lie beside a developer's checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real imagery is not beside this checkout ({folder.name}/)")
    return folder


@pytest.fixture
def no_compute():
    """Make any Dask computation an error, to show that a call stays lazy."""

    def refuse(*_args, **_kwargs):
        message = "something was computed that should stay lazy"
        raise AssertionError(message)

    with dask.config.set(scheduler=refuse):
        yield
