"""How far a design agrees with every platform: which outputs are compared, and the table of what came out."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from golden.agreement import Agreement, agreements
from golden.case import product_case
from golden.samples import KINDS, sample
from golden.spec import Spec

from .design import read_toml, to_spec
from .errors import InputError, as_input_error
from .flows import RUN_OUTPUTS, inputs_from_file, not_inputs, random_inputs
from .folder import Folder, open_folder
from .npz import read_npz
from .unused import check_used

DEFAULT_OUTPUTS = 1000
SHOWN_REASONS = 2
MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class Compared:
    """Agreements with all platforms, by kind of operands ("" for those of one product), and what was compared."""

    about: str
    hardware: bool
    kinds: dict[str, list[Agreement]]


def opened(target: Path) -> tuple[Spec, Folder | None]:
    """The design of a build folder or of a design file. Raises InputError."""
    if target.is_dir():
        folder = open_folder(target)
        return folder.spec, folder
    given = read_toml(target)
    with as_input_error(InputError, prefix=str(target)):
        spec = to_spec(given)
        check_used(spec)
        return spec, None


def of_product(spec: Spec, folder: Folder | None, inputs: Path | None, random: int | None, seed: int) -> Compared:
    """Agreements on one product: that of the folder's latest run, a file's or a random one. Raises InputError."""
    run = _latest_run(folder) if folder and inputs is None and random is None else None
    if run is not None:
        return _of_run(spec, folder, run)
    if inputs is not None:
        arrays, about = inputs_from_file(spec, inputs), f"golden stands for the hardware, operands of {inputs}"
    else:
        arrays = random_inputs(spec, random or DEFAULT_OUTPUTS, seed)
        about = f"golden stands for the hardware, random operands, seed {seed}"
    return Compared(about, False, {"": _agreements(spec, arrays, inputs)})


def _of_run(spec, folder, run):
    path = run / RUN_OUTPUTS
    record = read_npz(path)
    if str(record.get("verilog_sha256")) != folder.sha256:
        raise InputError(f"{path} comes from another Verilog; run bittrue simulate {folder.path} again")
    if "y" not in record:
        raise InputError(f"{path}: y: array missing")
    arrays = {name: value for name, value in record.items() if name not in not_inputs(spec)}
    return Compared(f"hardware's outputs of {path}", True, {"": _agreements(spec, arrays, path, record["y"])})


def _agreements(spec, arrays, path, y=None):
    with as_input_error(ValueError, prefix=str(path or "")):
        return agreements(product_case(spec, arrays, y))


def _latest_run(folder):
    runs = [path for path in (folder.path / "runs").glob("*") if (path / RUN_OUTPUTS).is_file()]
    return max(runs, key=lambda path: (path / RUN_OUTPUTS).stat().st_mtime, default=None)


def of_samples(spec: Spec, count: int, seed: int) -> Compared:
    """Agreements on sums made up for the design, `count` of each kind. Raises InputError."""
    with as_input_error(ValueError):
        kinds = {kind: agreements(sample(spec, kind, count, seed)) for kind in KINDS}
    return Compared(f"golden stands for the hardware, {count} sums of each kind, seed {seed}", False, kinds)


def table(compared: Compared):
    """One row per platform."""
    names = [f"differ, {kind}" if kind else "differ" for kind in compared.kinds]
    shown = Table("platform", *names, "largest", "first difference", "reason", box=None)
    for row in zip(*compared.kinds.values(), strict=True):
        counts = [f"{one.differing} of {one.compared}" if one.compared else "-" for one in row]
        largest = max(one.largest for one in row)
        first = next((_first(kind, one) for kind, one in zip(compared.kinds, row, strict=True) if one.first), "-")
        shown.add_row(row[0].platform, *counts, str(largest) if largest else "-", Text(first), Text(_why(row)))
    return Group(Text(compared.about), shown)


def _first(kind, one):
    (m, n), here, there = one.first
    return f"{kind or 'y'}[{m}, {n}]: {here} here, {there} there"


def _why(row):
    """The reasons of all kinds of operands, each once, and what was left out."""
    counts, examined = {}, sum(one.examined for one in row)
    for reason in (reason for one in row for reason in one.reasons):
        counts[reason.text] = counts.get(reason.text, 0) + reason.outputs
    ranked = sorted(counts, key=lambda text: -counts[text])
    lines = [f"{text} ({counts[text]} of {examined})" if len(ranked) > 1 else text for text in ranked[:SHOWN_REASONS]]
    if len(ranked) > SHOWN_REASONS:
        lines.append(f"{len(ranked) - SHOWN_REASONS} more, see --json")
    refusals = dict.fromkeys(one.refusal for one in row if one.refusal)
    left_out = any(one.compared for one in row)
    lines += [f"others left out: {refusal}" if left_out else refusal for refusal in refusals]
    return "; ".join(lines)


def as_json(compared: Compared):
    """The same as plain data, with every reason."""
    return {
        "about": compared.about,
        "hardware": compared.hardware,
        "platforms": [
            {"platform": rows[0].platform, **_kinds_json(compared.kinds, rows)}
            for rows in zip(*compared.kinds.values(), strict=True)
        ],
    }


def _kinds_json(kinds, rows):
    each = {kind: _agreement_json(one) for kind, one in zip(kinds, rows, strict=True)}
    return each.get("") or {"kinds": each}


def _agreement_json(one: Agreement):
    first = one.first and {"index": list(one.first[0]), "here": one.first[1], "there": one.first[2]}
    return {
        "compared": one.compared,
        "differing": one.differing,
        "largest": one.largest,
        "first": first,
        "examined": one.examined,
        "reasons": [{"reason": reason.text, "outputs": reason.outputs} for reason in one.reasons],
        "refusal": one.refusal or None,
    }
