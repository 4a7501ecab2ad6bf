"""What the commands on networks print: rich renderables for people, plain data for scripts."""

from dataclasses import asdict
from math import isfinite

from rich.console import Group
from rich.table import Table
from rich.text import Text

from network.unsupported import printable

from .costs import Costs
from .evaluate import Evaluation
from .network_folder import NetworkFolder
from .report import compared_json, explain

BYTE = 8


def cost_table(costs: Costs):
    """Bits, products and cycles of each layer, and of all."""
    cycles = "cycles" if costs.batch == 1 else f"cycles for {costs.batch}"
    headers = ("layer", "kind", "formats", "weights", "parameters", "outputs", "MACs", cycles, "utilization")
    table = Table(*headers, box=None)
    for one in costs.layers:
        stored = (one.memory.weights + one.memory.scales, one.memory.parameters + one.memory.table)
        table.add_row(
            *(Text(printable(text)) for text in (one.layer, one.kind, one.formats)),
            *(str(bits) if one.cycles else "-" for bits in stored),
            str(one.output_bits),
            *(_or_dash(number) for number in (one.macs or None, one.cycles)),
            _percent(one.utilization),
        )
    whole = costs.memory
    stored = (whole.weights + whole.scales, whole.parameters + whole.table)
    table.add_row("all", "", "", *map(str, stored), "", str(costs.macs), str(costs.cycles), "")
    told = f"weights, parameters and outputs in bits; {_size(whole.bits)} of weights and parameters; "
    told += f"inputs and outputs of a layer at most {_size(costs.activation_bits)}; {costs.memory_bits} bits in all"
    return Group(table, Text(told))


def _size(bits):
    count = -(-bits // BYTE)
    return f"{count} bytes" if count < 10_000 else f"{count / 1024:.1f} KiB"


def _or_dash(value):
    return "-" if value is None else str(value)


def _percent(value):
    return "-" if value is None else f"{100 * value:.2f} %"


def cost_json(costs: Costs):
    return {
        "batch": costs.batch,
        "input_bits": costs.input_bits,
        "layers": [asdict(layer) for layer in costs.layers],
        "memory": {**asdict(costs.memory), "bits": costs.memory.bits},
        "activation_bits": costs.activation_bits,
        "memory_bits": costs.memory_bits,
        "macs": costs.macs,
        "cycles": costs.cycles,
    }


def stored(opened: NetworkFolder, costs: Costs, notes=()):
    """What a network folder holds."""
    network, source = opened.network, opened.source
    shape = "x".join(str(size) for size in network.shape)
    kind = network.entry.y.fmt if network.entry.y else "float32"
    counts = f"{len(network.layers)} layers, {len(opened.folders)} of them on arrays"
    made_of = f"{source.get('kind')} {printable(source.get('file'))}"
    lines = [
        f"{opened.path}: {counts}; inputs {shape}, {kind}; from {made_of}",
        *notes,
    ]
    return Group(Text("\n".join(lines)), cost_table(costs))


def stored_json(opened: NetworkFolder, costs: Costs, notes=()):
    return {
        "folder": str(opened.path),
        "name": opened.network.name,
        "shape": list(opened.network.shape),
        "source": opened.source,
        "notes": list(notes),
        "costs": cost_json(costs),
    }


def evaluated(evaluation: Evaluation):
    """Routes, layers, and what explains the first difference of each layer that differs."""
    parts = [_routes(evaluation)]
    parts += [Text(f"{route.name}: {route.refusal}") for route in evaluation.routes if route.refusal]
    if evaluation.recorded is not None:
        parts.append(
            Text(f"golden differs from the recorded outputs in {evaluation.differing} of {evaluation.recorded}")
        )
    parts += [part for simulator, runs in evaluation.runs.items() for part in _layers(simulator, runs)]
    return Group(*parts)


def _routes(evaluation):
    reference = evaluation.reference.name
    accuracy = ["accuracy"] if evaluation.labels is not None else []
    headers = ("route", "examples", *accuracy, f"class as {reference}", "largest difference", "SQNR")
    table = Table(*headers, box=None)
    for route in evaluation.routes:
        score = evaluation.score(route)
        if score is None:
            table.add_row(route.name, *("-" for _ in headers[1:]))
            continue
        shares = [score.correct] if accuracy else []
        classes = (_share(count, score.examples) for count in (*shares, score.same_class))
        distance = ("-", "-") if route is evaluation.reference else (f"{score.largest:.4g}", _decibels(score.sqnr))
        table.add_row(route.name, str(score.examples), *classes, *distance)
    return table


def _share(count, examples):
    return "-" if count is None else f"{100 * count / examples:.2f} %"


def _decibels(value):
    return f"{value:.1f} dB" if isfinite(value) else ("equal" if value > 0 else "-")


def _layers(simulator, runs):
    headers = ("layer", "outputs compared", "mismatches", "cycles", "closed form", "utilization")
    table = Table(f"in {simulator}", *headers[1:], box=None)
    for run in runs:
        found = run.comparison
        table.add_row(
            Text(printable(run.layer)),
            str(found.diagnosis.compared),
            str(found.diagnosis.count),
            _or_dash(found.cycles),
            _or_dash(found.expected_cycles),
            _percent(found.utilization),
        )
    yield table
    for run in runs:
        if not run.comparison.agrees:
            yield Text(f"layer {printable(run.layer)}, {run.folder.path}, {explain(run.comparison)}")


def evaluated_json(evaluation: Evaluation):
    return {
        "equal": evaluation.agrees,
        "recorded": None if evaluation.recorded is None else _recorded_json(evaluation),
        "reference": evaluation.reference.name,
        "routes": [_route_json(evaluation, route) for route in evaluation.routes],
        "hardware": {
            simulator: [
                {"layer": run.layer, "folder": str(run.folder.path)}
                | compared_json(run.folder, [run.comparison])["results"][0]
                for run in runs
            ]
            for simulator, runs in evaluation.runs.items()
        },
    }


def _recorded_json(evaluation):
    return {"outputs": evaluation.recorded, "differing": evaluation.differing}


def _route_json(evaluation, route):
    score = evaluation.score(route)
    if score is None:
        return {"route": route.name, "refusal": route.refusal}
    accuracy = None if score.correct is None else score.correct / score.examples
    distance = {name: value if isfinite(value := getattr(score, name)) else None for name in ("largest", "sqnr")}
    return {"route": route.name, **asdict(score), "accuracy": accuracy, **distance}
