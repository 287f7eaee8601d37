"""Event files for TensorBoard.

A step is a round, and what TensorBoard takes for the time of day is virtual time: seconds after the beginning of 1970. So its axis
*relative* is virtual time, and its axis *wall* means nothing. Numbers are kept as 32-bit floats, as TensorBoard's scalars are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario
from fedtiny.trackers.destination import Destination, Logged, file_name
from fedtiny.trackers.measures import Measured, settings
from fedtiny.trackers.tracker import Ending

_SUFFIX: Final = ".fedtiny"


class TensorBoardRun:
    """The event file of one run, in a folder of its own. Earlier ones that FedTiny wrote there are replaced."""

    def __init__(self, destination: Destination, logged: Logged, scenario: Scenario) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = Path(destination.place) / file_name(logged.run)
        for earlier in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
            earlier.unlink()
        self._settings = settings(scenario)
        self._writer = SummaryWriter(str(folder), filename_suffix=_SUFFIX)
        self._writer.add_text("scenario", f"```yaml\n{resolved_yaml(scenario)}\n```", walltime=0.0)
        self._last = 0

    def write(self, measured: Sequence[Measured]) -> None:
        """See `Tracker`."""
        for one in measured:
            self._last = max(self._last, one.round)
            for name, value in one.values.items():
                self._writer.add_scalar(name, value, global_step=one.round, walltime=one.virtual_time)
        self._writer.flush()

    def close(self, ending: Ending, summary: Mapping[str, Any], virtual_time: float) -> None:
        """See `Tracker`; settings and summary are TensorBoard's hyper-parameters and their metrics."""
        from torch.utils.tensorboard import summary as summaries

        final = {f"final/{name}": float(value) for name, value in summary.items() if isinstance(value, (int, float))}
        said = {f"final/{name}": value for name, value in summary.items() if isinstance(value, str)}
        hyper_parameters: Any = summaries.hparams  # which has no types
        file: Any = self._writer.file_writer
        for part in hyper_parameters({**self._settings, **said, "ending": ending}, final):
            file.add_summary(part, walltime=0.0)
        for name, value in final.items():
            self._writer.add_scalar(name, value, global_step=self._last, walltime=virtual_time)
        self._writer.close()
