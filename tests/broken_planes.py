"""A slow bit-serial array in plain Python, one plane pair and beat at a time, with one fault to choose."""

from oracle import wrap


def broken_planes(spec, a, w, bug=""):
    """Accumulators [M][N] for integers a [M][K] and w [K][N], each tile with the fewest planes that hold its own."""
    m_count, n_count = len(a), len(w[0])
    a, columns = _whole(a, spec.rows), _whole([list(column) for column in zip(*w, strict=True)], spec.cols)
    y = [[None] * len(columns) for _ in a]
    kept = {}
    for n in range(0, len(columns), spec.cols):
        for m in range(0, len(a), spec.rows):
            rows, cols = a[m : m + spec.rows], columns[n : n + spec.cols]
            beats = list(_beats(spec, rows, cols, bug))
            for r in range(len(rows)):
                for c in range(len(cols)):
                    start = kept.get((r, c), 0) if bug == "not cleared" else 0
                    kept[r, c] = y[m + r][n + c] = _accumulated(spec, rows[r], cols[c], beats, start, bug)
    return [row[:n_count] for row in y[:m_count]]


def _whole(vectors, tile):
    """The vectors, and zeros to whole tiles of them."""
    return vectors + [[0] * len(vectors[0])] * (-len(vectors) % tile)


def planes_of(vectors):
    """(planes, whether the top one is negative) of integers."""
    least, most = min(map(min, vectors)), max(map(max, vectors))
    bits = next(bits for bits in range(1, 64) if -(1 << bits - 1) <= least and most < 1 << bits - (least < 0))
    return bits, least < 0


def _beats(spec, rows, cols, bug):
    """(plane of a, plane of w, first k, raise, negative) of each beat of a tile."""
    (a_bits, a_signed), (w_bits, w_signed) = planes_of(rows), planes_of(cols)
    before = a_bits + w_bits - 2
    for weight in range(a_bits + w_bits - 2, -1, -1):
        for j in range(w_bits):
            i = weight - j
            if not 0 <= i < a_bits:
                continue
            tops = (a_signed and i == a_bits - 1) + 2 * (w_signed and j == w_bits - 1)
            negative = {"a top positive": tops & 2, "w top positive": tops & 1, "negative ignored": 0}
            negative |= {"both tops negative": tops}
            for k in range(0, len(rows[0]), spec.lanes):
                raised = (weight != before or bug == "raised always") and bug != "raise ignored"
                real = a_bits - 1 - i if bug in ("a lowest first", "both lowest first") else i
                other = w_bits - 1 - j if bug in ("w lowest first", "both lowest first") else j
                if "lowest first" in bug:
                    tops = (a_signed and real == a_bits - 1) + 2 * (w_signed and other == w_bits - 1)
                yield real, other, k, raised, bool(negative.get(bug, tops in (1, 2)))
                before = weight


def _accumulated(spec, a, w, beats, acc, bug):
    for number, (i, j, first, raised, negative) in enumerate(beats):
        edge = bug.partition(" ")[0] == ("last" if number == len(beats) - 1 else "first" if number == 0 else None)
        times = {"missing": 0, "twice": 2}.get(bug.rpartition(" ")[2], 1) if edge else 1
        pairs = zip(a[first : first + spec.lanes], w[first : first + spec.lanes], strict=True)
        count = sum((x >> i & 1) * (y >> j & 1) for x, y in pairs)
        acc = (2 * acc if raised else acc) + (-count if negative else count) * times
    return wrap(acc, spec.accumulator_width, signed=True)
