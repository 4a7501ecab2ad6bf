"""What the commands print: rich renderables for people, plain data for scripts."""

import io

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from golden.block_formats import NAMED_BLOCKS
from hdl.kinds import kind_of

from .design import describe
from .flows import Comparison
from .formats import LEGEND, LISTED, PAIRED_WEIGHTS, SCALES, described, described_block, pairings

UNWRAPPED = 10_000
PAGE = 140
_SHOWN = 4


def rendered(renderable):
    """Text for stdout; where that is no terminal, with no line wrapped."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNWRAPPED)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get().rstrip()


def as_html(folder, renderable):
    """The same as a page of its own, below a line that says what the design is."""
    console = Console(highlight=False, width=PAGE, record=True, file=io.StringIO())
    console.print(Text(describe(folder.spec)), Text(f"Verilog sha256 {folder.sha256}\n"), renderable, sep="\n")
    return console.export_html()


def generated(folder):
    spec = folder.spec
    lines = [
        describe(spec),
        f"{folder.path / spec.name}.v: {folder.verilog.count(chr(10))} lines, sha256 {folder.sha256[:16]}",
    ]
    lines.append(
        f"latency {kind_of(spec).latency(spec)} cycles; beats, widths and cycles: {folder.path / 'manifest.json'}"
    )
    return Text("\n".join(lines))


def generated_json(folder):
    return {
        "folder": str(folder.path),
        "verilog": str(folder.path / f"{folder.spec.name}.v"),
        "sha256": folder.sha256,
        "accumulator_width": folder.spec.accumulator_width,
        "latency": kind_of(folder.spec).latency(folder.spec),
    }


def formats_listed():
    formats = Table("formats", "for example", "bits", "smallest", "largest", "step", "special codes", box=None)
    for name in (*LISTED, *SCALES):
        formats.add_row(*described(name))
    blocks = Table("blocks", "elements", "block", "scale", "bits per element", "largest", box=None)
    for name in NAMED_BLOCKS:
        blocks.add_row(*described_block(name))
    elements = Table("activations x weights", *PAIRED_WEIGHTS, box=None)
    for row in pairings():
        elements.add_row(*row)
    scales = Text(f"{', '.join(SCALES[:-1])} are scales of blocks alone, {SCALES[-1]} is an output alone")
    return Group(formats, scales, Text(), blocks, Text(), elements, Text(LEGEND))


def tabled(path, entries, x_format, y_format):
    return Text(f"{path}: {len(entries)} entries, {x_format} -> {y_format}, {min(entries)}..{max(entries)}")


def tabled_json(path, entries):
    return {"table": str(path), "entries": len(entries), "lowest": min(entries), "highest": max(entries)}


def simulators_agree(results):
    """Whether all simulators gave the same outputs."""
    first, *others = (result.y for result in results.values())
    return all(np.array_equal(first, other) for other in others)


def simulated(folder, results):
    lines = [
        f"{name}: {result.y.size} outputs in {result.cycles} cycles -> {folder.run(name) / 'hardware.npz'}"
        for name, result in results.items()
    ]
    if len(results) > 1:
        agree = simulators_agree(results)
        lines.append("simulators agree on every output" if agree else "simulators DIFFER; bittrue compare says where")
    return Text("\n".join(lines))


def simulated_json(folder, results):
    return {
        "runs": {
            name: {
                "outputs": result.y.size,
                "cycles": result.cycles,
                "hardware": str(folder.run(name) / "hardware.npz"),
            }
            for name, result in results.items()
        },
        "simulators_agree": simulators_agree(results),
    }


def dumps_agree(results):
    """Whether the dumps hold the same outputs; None where they come from different inputs."""
    first, *others = results
    if not all(first.has_inputs_of(other) for other in others):
        return None
    return all(np.array_equal(first.y, other.y) for other in others)


_DUMPS = {
    True: "the dumps are equal",
    False: "the dumps DIFFER from each other",
    None: "the dumps come from different inputs and are not compared with each other",
}


def compared(folder, results):
    table = Table("hardware", "outputs compared", "mismatches", "cycles", "closed form", "utilization", box=None)
    for result in results:
        table.add_row(
            result.source,
            str(result.diagnosis.compared),
            str(result.diagnosis.count),
            _or_dash(result.cycles),
            _or_dash(result.expected_cycles),
            "-" if result.utilization is None else f"{100 * result.utilization:.2f} %",
        )
    parts: list[Table | Text] = [table]
    if len(results) > 1:
        parts.append(Text(_DUMPS[dumps_agree(results)]))
    parts += [Text(line) for result in results for line in spares_told(result)]
    parts += [Text(scales_told(result)) for result in results if result.scales is not None]
    parts += [Text(explain(result)) for result in results if result.diagnosis.count or not result.diagnosis.compared]
    return Group(*parts)


def scales_told(result: Comparison):
    """The scales of the tiles, in a line; and the first tile where they differ from golden's."""
    scales = result.scales
    assert scales is not None
    if scales.y_scale is None and scales.y_zero_point is None:
        return f"{result.source}: no y_scale and y_zero_point of the tiles were given"
    low, high = (float(end(scales.golden_scale)) for end in (np.min, np.max))
    counts = f"{scales.mismatches} of {scales.tiles} differ"
    told = f"{result.source}: scales and zero points of tiles: {counts}; golden's scales are {low:.8g} to {high:.8g}"
    if not scales.mismatches:
        return told
    tile = int(scales.wrong[0])
    here = _scale_and_zero_point(scales.y_scale, scales.y_zero_point, tile)
    there = _scale_and_zero_point(scales.golden_scale, scales.golden_zero_point, tile)
    return f"{told}\n  first in tile {tile}: hardware {here}, golden {there}"


def spares_told(result: Comparison):
    """A line for each operand that holds the spare code of ternary."""
    for name, places in result.spares.items():
        count = f"{len(places)} spare {'code' if len(places) == 1 else 'codes'}"
        first = f"{name}{places[0].tolist()}"
        yield f"{result.source}: {count} of ternary in {name}, first {first}: hardware takes it for 0"


def _scale_and_zero_point(y_scale, y_zero_point, tile):
    named = {"scale": y_scale, "zero point": y_zero_point}
    return ", ".join(f"{name} {value[tile]}" for name, value in named.items() if value is not None)


def _or_dash(value):
    return "-" if value is None else str(value)


def _running(first):
    """The last of the sums that blocks, or beats, come to."""
    if not first.running:
        return ""
    shown = ", ".join(f"{value:.9g}" if isinstance(value, float) else str(value) for value in first.running[-_SHOWN:])
    return f"after each block {'.., ' if len(first.running) > _SHOWN else ''}{shown}, "


def _number(value):
    """A float32, as it follows its bits."""
    return "" if value is None else f"  float32 {value:.9g}"


def _steps(first):
    """The accumulator and what lies between it and the code; of float32 sums nothing does."""
    if first.golden_value is not None:
        return ""
    if first.reached is not None:
        return f"accumulator {first.accumulator}, thresholds reached {first.reached}, "
    if first.y_scale is not None:
        scale = f"accumulator {first.accumulator}, scale {first.y_scale:.9g}, zero point {first.y_zero_point}"
        return f"{scale}, scaled {first.scaled:.9g}, rounded {first.rounded}, "
    steps = f"accumulator {first.accumulator}, biased {first.biased}, scaled {first.scaled}, rounded {first.rounded}, "
    return steps if first.table_input is None else f"{steps}table read at {first.table_input}, "


def explain(result: Comparison):
    """The first difference and what it means, in lines."""
    diagnosis, last = result.diagnosis, result.depth - 1
    first = diagnosis.first
    if first is None:
        return "nothing was compared"
    m, n = first.index
    channel = f", {n}" if result.given.a.ndim == 3 else ""
    lines = [
        f"first difference: y[{m}, {n}], {first.place}",
        f"  operands   a[{m}, 0{channel}] = {first.a_first} .. a[{m}, {last}{channel}] = {first.a_last}; "
        f"w[0, {n}] = {first.w_first} .. w[{last}, {n}] = {first.w_last}",
        f"  hardware   {first.hardware:>12}  {first.hardware_bits}{_number(first.hardware_value)}",
        f"  golden     {first.golden:>12}  {first.golden_bits}{_number(first.golden_value)}",
        f"  golden's steps: {_running(first)}{_steps(first)}code {first.golden}",
        f"  they part at: {diagnosis.step}: {diagnosis.cause}",
        f"  {diagnosis.count} of {diagnosis.compared} outputs differ{_reach(diagnosis)}",
    ]
    lines += [f"  or: {alternative}" for alternative in diagnosis.alternatives]
    return "\n".join(lines)


def _reach(diagnosis):
    if diagnosis.step == "unknown":
        return ""
    return f"; hardware with this fault would give {diagnosis.explained} of {diagnosis.compared} just as they are"


def compared_json(folder, results):
    return {
        "equal": all(result.agrees for result in results),
        "results": [
            {
                "hardware": result.source,
                "compared": result.diagnosis.compared,
                "mismatches": result.diagnosis.count,
                "cycles": result.cycles,
                "closed_form_cycles": result.expected_cycles,
                "utilization": result.utilization,
                **_spares_json(result),
                **({} if result.scales is None else {"scales": _scales_json(result.scales)}),
                **({} if result.agrees else {"explanation": _explanation_json(result.diagnosis)}),
            }
            for result in results
        ],
    }


def _spares_json(result):
    counts = {name: len(places) for name, places in result.spares.items()}
    return {"spare_codes": counts} if counts else {}


def _scales_json(scales):
    given = {"y_scale": scales.y_scale, "y_zero_point": scales.y_zero_point}
    return {
        "tiles": scales.tiles,
        "mismatches": scales.mismatches,
        **{name: None if value is None else value.tolist() for name, value in given.items()},
    }


def _explanation_json(diagnosis):
    first = diagnosis.first
    if first is None:
        return None
    return {
        "index": list(first.index),
        "tile": first.tile,
        "row": first.row,
        "col": first.col,
        "hardware": first.hardware,
        "golden": first.golden,
        **_numbers_json(first),
        "hardware_bits": first.hardware_bits,
        "golden_bits": first.golden_bits,
        "step": diagnosis.step,
        "cause": diagnosis.cause,
        "explained": diagnosis.explained,
        "alternatives": list(diagnosis.alternatives),
    }


def _numbers_json(first):
    """The float32 numbers of outputs that are such; as text, since JSON has no infinity and no NaN."""
    values = {"hardware_value": first.hardware_value, "golden_value": first.golden_value}
    return {name: f"{value:.9g}" for name, value in values.items() if value is not None}


def demonstrated(results):
    table = Table(
        "network", "images", "float", "golden", "hardware", "outputs", "mismatches", "cycles", "utilization", box=None
    )
    for result in results:
        table.add_row(
            result.version,
            str(result.images),
            *(f"{100 * value / result.images:.2f} %" for value in result.correct),
            str(result.outputs),
            str(result.mismatches),
            str(result.cycles),
            f"{100 * result.utilization:.2f} %",
        )
    return Group(table, Text("float, golden and hardware: images classified right; the hardware is generated Verilog"))


def demonstrated_json(results):
    return {
        "equal": all(result.agrees for result in results),
        "networks": [
            {
                "network": result.version,
                "images": result.images,
                **dict(zip(("float_correct", "golden_correct", "hardware_correct"), result.correct, strict=True)),
                "outputs": result.outputs,
                "mismatches": result.mismatches,
                "cycles": result.cycles,
                "utilization": result.utilization,
            }
            for result in results
        ],
    }
