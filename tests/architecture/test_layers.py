"""Folders are layers: imports point down, and heavy libraries stay where they belong (docs/decisions/0001-architecture.md)."""

import graphlib
import subprocess
import sys

# Lowest row first. A unit (a folder or a file directly below fedtiny/) imports lower rows only. The units of a row that
# is a tuple do not know each other; those of a list may import the ones before them in it.
ROWS: list[tuple[str, ...] | list[str]] = [
    ["errors", "units", "randomness", "parts"],
    ("models", "datasets", "fleet"),
    ("updates",),
    ("training", "costs", "simulation"),
    ("design", "calibration"),
    ("federation", "results"),
    ("strategies", "reports"),
    ("scenario",),
    [
        "inputs",
        "recorded_activities",
        "battery_drain",
        "blueprint",
        "participation",
        "alike_devices",
        "population_classes",
        "device_classes",
        "timing_run",
        "enrolment",
        "preparation",
        "flower_app",
        "simulated_clients",
        "cohort_calibration",
        "world_identity",
        "remembered_training",
        "recording",
        "progress",
        "battery_results",
        "carbon_results",
        "flash_results",
        "round_bottleneck",
        "attribution",
        "planned_energy",
        "plan",
        "timed_result",
        "experiment",
        "apps",
        "trackers",
        "update_search",
        "network_bounds",
        "network_design",
        "design_folder",
    ],
    ("sweeps", "deployment"),
    [
        "watching",
        "terminal",
        "command_options",
        "planning_commands",
        "calibration_commands",
        "app_commands",
        "catalog_commands",
        "deployment_commands",
        "design_commands",
        "cli",
        "__main__",
        "__init__",
    ],
]

# A library, and the units that may import it.
HEAVY = {
    "torch": {
        "models",
        "datasets",
        "updates",
        "training",
        "design",
        "calibration",
        "blueprint",
        "preparation",
        "flower_app",
        "timed_result",
        "experiment",
        "apps",
        "world_identity",
        "trackers",
        "network_bounds",
        "network_design",
    },
    "simpy": {"simulation", "federation", "experiment", "apps"},
    "flwr": {"federation", "strategies", "flower_app", "simulated_clients", "experiment", "apps", "deployment"},
    "matplotlib": {"reports"},
    "jinja2": {"reports", "deployment"},
    "ray": {"sweeps"},
    "mlflow": {"trackers"},
    "optuna": {"sweeps"},
    "typer": {
        "terminal",
        "command_options",
        "planning_commands",
        "calibration_commands",
        "app_commands",
        "catalog_commands",
        "deployment_commands",
        "design_commands",
        "cli",
    },
    "rich": {"terminal", "watching"},
    "sklearn": {"datasets"},
}

# Files of torch's units that are read without torch.
TORCH_FREE_FILES = {
    "training/local_work.py",
    "training/pace.py",
    "training/journal.py",
    "training/journalled_work.py",
    "models/summary.py",
    "models/counted_work.py",
    "models/step.py",
    "updates/plan.py",
    "updates/layout.py",
    "updates/convolutions.py",
}
TORCH_FREE_UNITS = {"costs", "simulation", "fleet", "results", "reports"}
REDRAWN_WITHOUT = {"torch", "simpy", "flwr"}

CLOCKS = {"time", "datetime"}
# For provenance, progress and measurements of this machine; collect.py waits on a real Grid.
KNOWS_THE_TIME_OF_DAY = {
    "apps/run.py",
    "apps/observed.py",
    "apps/server_clock.py",
    "experiment.py",
    "cli.py",
    "watching",
    "calibration_commands.py",
    "sweeps",
    "calibration",
    "deployment",
    "strategies/collect.py",
}
FLOWER_INTERNALS = "federation/flower_internals.py"
PUBLIC_FLOWER = {"flwr", "flwr.app", "flwr.clientapp", "flwr.clientapp.mod", "flwr.serverapp", "flwr.serverapp.strategy"}


def place(unit: str) -> tuple[int, int]:
    """Row and position in the row; units of a row whose members do not know each other share position 0."""
    for number, row in enumerate(ROWS):
        if unit in row:
            return number, row.index(unit) if isinstance(row, list) else 0
    raise AssertionError(f"fedtiny/{unit} has no row in the table: add it to ROWS where it belongs")


def imported_modules(module, names: set[str]) -> set[str]:
    """The package's own modules that a file imports; of `from fedtiny.models import measure`, fedtiny.models.measure."""
    targets = set()
    for source, name in module.imports():
        if source == "fedtiny" or source.startswith("fedtiny."):
            targets.add(f"{source}.{name}" if f"{source}.{name}" in names else source)
    return targets


def test_every_unit_has_a_row(modules):
    for module in modules:
        assert place(module.unit)


def test_imports_point_down(modules):
    names = {module.name for module in modules}
    wrong = [
        f"{module.short} imports {target}"
        for module in modules
        for target in imported_modules(module, names)
        if (unit := target.split(".")[1] if "." in target else "__init__") != module.unit and place(unit) >= place(module.unit)
    ]
    assert not wrong, "imports that point up or sideways:\n" + "\n".join(wrong)


def test_imports_are_absolute(modules):
    relative = [module.short for module in modules for source, _ in module.imports() if source.startswith(".")]
    assert not relative


def test_no_files_import_each_other_in_a_ring(modules):
    names = {module.name for module in modules}
    graph = {module.name: imported_modules(module, names) - {module.name} for module in modules}
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_heavy_libraries_stay_where_they_belong(modules):
    wrong = [
        f"{module.short} imports {source}"
        for module in modules
        for source, _ in module.imports()
        if (library := source.split(".")[0]) in HEAVY
        and (module.unit not in HEAVY[library] or (library == "torch" and module.short in TORCH_FREE_FILES))
    ]
    assert not wrong, "heavy libraries out of their place:\n" + "\n".join(wrong)


def test_what_flower_keeps_private_is_imported_in_one_file(modules):
    wrong = [
        f"{module.short} imports {source}"
        for module in modules
        for source, _ in module.imports()
        if source.split(".")[0] == "flwr" and source not in PUBLIC_FLOWER and module.short != FLOWER_INTERNALS
    ]
    assert not wrong


def test_virtual_time_never_comes_from_a_clock(modules):
    wrong = [
        f"{module.short} imports {source}"
        for module in modules
        for source, _ in module.imports()
        if source.split(".")[0] in CLOCKS and not KNOWS_THE_TIME_OF_DAY & {module.unit, module.short}
    ]
    assert not wrong


def loaded_by(names: list[str], watched: set[str]) -> str:
    """Which of the watched libraries are loaded, in a fresh interpreter, once these modules are imported."""
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(sorted({watched!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_costs_simulation_fleet_results_and_reports_import_without_torch(modules):
    free = [module.name for module in modules if module.unit in TORCH_FREE_UNITS or module.short in TORCH_FREE_FILES]
    assert loaded_by(free, {"torch"}) == "[]"


def test_a_run_folder_is_redrawn_without_torch_simpy_and_flower(modules):
    drawing = [module.name for module in modules if module.unit in {"results", "reports"}]
    assert loaded_by(drawing, REDRAWN_WITHOUT) == "[]"
