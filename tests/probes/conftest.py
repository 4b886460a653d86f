import pytest
from probe_helpers import make_run


@pytest.fixture(scope="session")
def runs(hopper_file, tmp_path_factory):
    """RADAC and DiffusionQL on the same small data."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / method, method, hopper_file) for method in ("radac", "diffusion-ql")]
