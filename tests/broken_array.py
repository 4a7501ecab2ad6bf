"""A slow array in plain Python, one product at a time, with one fault to choose. It shares nothing with sim.machine."""

from broken_requantizers import BrokenThresholds, broken_float32
from oracle import clamp, round_quotient, wrap


def broken_array(spec, given, bug=""):
    """Output codes [M][N] of an array with this fault ("" for none); the faults are named in test_sim_diagnose."""
    return _Array(spec, given, bug).run()


class _Array:
    def __init__(self, spec, given, bug):
        self.spec, self.given, self.bug = spec, given, bug
        self.m, self.k, self.n = given.shape
        self.down, self.across = -(-self.m // spec.rows), -(-self.n // spec.cols)
        self.beats = -(-self.k // spec.lanes)
        self.a, self.w = given.a.tolist(), given.w.tolist()
        self.kept = {}

    def run(self):
        beats = []
        for tile in range(self.down * self.across):
            tile_n, tile_m = divmod(tile, self.down)
            for row in reversed(range(self.spec.rows)):
                m = tile_m * self.spec.rows + row
                beats.append([self.output(tile, m, tile_n * self.spec.cols + c) for c in range(self.spec.cols)])
        return self.assemble(beats)

    def assemble(self, beats):
        """The stream of output beats as a matrix."""
        rows, cols = self.spec.rows, self.spec.cols
        if self.bug == "one beat late":
            beats = beats[-1:] + beats[:-1]
        y = [[None] * self.n for _ in range(self.m)]
        for index, beat in enumerate(beats):
            tile, step = divmod(index, rows)
            tile_n, tile_m = divmod(tile, self.down)
            if self.bug == "tiles across":
                tile_m, tile_n = divmod(tile, self.across)
            row = step if self.bug == "rows reversed" else rows - 1 - step
            for col, code in enumerate(reversed(beat) if self.bug == "columns reversed" else beat):
                r, c = (col, row) if self.bug == "transposed in tiles" else (row, col)
                m, n = tile_m * rows + r, tile_n * cols + c
                if m < self.m and n < self.n:
                    y[m][n] = code
        return [list(column) for column in zip(*y, strict=True)] if self.bug == "transposed" else y

    def output(self, tile, m, n):
        return self.code(self.accumulator(tile, m, n), self.parameters(tile, n))

    def operand(self, which, m, k, n):
        """The code on its lane: the operand's, or a pad."""
        matrix, i, j = (self.a, m, k) if which == "a" else (self.w, k, n)
        if i < len(matrix) and j < len(matrix[0]):
            return matrix[i][j]
        if which == "w" and self.spec.is_binary and k >= self.k:
            return (k - self.k) % 2
        return self.zero_point(which)

    def zero_point(self, which):
        return self.given.a_zero_point if which == "a" else self.given.w_zero_point

    def decoded(self, which, m, k, n):
        fmt = self.spec.activations if which == "a" else self.spec.weights
        fault = self.bug[2:] if self.bug.startswith(which + " ") else ""
        if fault == "lanes reversed":
            beat, lane = divmod(k, self.spec.lanes)
            k = beat * self.spec.lanes + self.spec.lanes - 1 - lane
        code, zero = self.operand(which, m, k, n), self.zero_point(which)
        if fmt.name == "bipolar":
            bit = 1 - code if fault == "inverted" else code
            return bit if fault == "as 0 and 1" else (1 if bit else -1)
        signed = {"unsigned": False, "signed": True}.get(fault, fmt.signed)
        zero = {"zero point ignored": 0, "zero point added": -zero}.get(fault, zero)
        return wrap(code, fmt.width, signed) - zero

    def product(self, m, k, n):
        value = self.decoded("a", m, k, n) * self.decoded("w", m, k, n)
        if not self.bug.startswith("product"):
            return value
        lo, hi = self.spec.product_range
        width = next(w for w in range(1, 99) if lo >= -(2 ** (w - 1)) * (lo < 0) and hi < 2 ** (w - (lo < 0)))
        match self.bug:
            case "product short":
                return wrap(value, width - 1, lo < 0)
            case "product unsigned":
                return wrap(value, width, False)
        return -value

    def times(self, k):
        """How often product k counts."""
        lanes = self.spec.lanes
        beat, lane = divmod(k, lanes)
        missing = self.beats * lanes - self.k
        if self.spec.is_binary and missing % 2 and k == self.beats * lanes - 1 and self.bug != "pad counted":
            return 0
        match self.bug:
            case "last product missing":
                return int(k != self.k - 1)
            case "first product missing":
                return int(k != 0)
            case "last beat missing":
                return int(beat != self.beats - 1)
            case "first beat missing":
                return int(beat != 0)
            case "last beat twice":
                return 1 + (beat == self.beats - 1)
        return 1

    def accumulator(self, tile, m, n):
        place = m % self.spec.rows, n % self.spec.cols
        total = self.kept.get(place, 0) if self.bug == "not cleared" else 0
        for beat in range(self.beats):
            lanes = range(beat * self.spec.lanes, (beat + 1) * self.spec.lanes)
            total = self.reduced(total + sum(self.product(m, k, n) * self.times(k) for k in lanes))
        self.kept[place] = total
        return total

    def reduced(self, total):
        width = self.spec.accumulator_width
        saturates = self.spec.accumulator_overflow == "saturate" and not self.spec.accumulator_is_exact
        match self.bug.split():
            case ["accumulator", "wraps", short]:
                width, saturates = min(width, self.spec.exact_accumulator_width) - int(short), False
            case ["accumulator", "saturates", short]:
                width, saturates = min(width, self.spec.exact_accumulator_width) - int(short), True
        if saturates:
            return clamp(total, -(2 ** (width - 1)), 2 ** (width - 1) - 1)
        return wrap(total, width, True)

    def parameters(self, tile, n):
        """The parameters of column n in its tile; each from where its fault takes it."""
        where, _, name = self.bug.partition(" parameter ")
        first_tiles = {"previous": max(tile - 1, 0), "next": min(tile + 1, self.down * self.across - 1), "first": 0}
        col, cols = n % self.spec.cols, self.spec.cols
        neighbours = {"right": (col + 1) % cols, "left": (col - 1) % cols, "opposite": cols - 1 - col}
        moved = first_tiles.get(where, tile) // self.down * cols + neighbours.get(where, col)
        source = {key: moved if name in ("all", key) else n for key in self.given.parameters}
        return {key: self.parameter(key, source[key]) for key in self.given.parameters}

    def parameter(self, key, n):
        """Of a column that does not exist, zero: of its thresholds, each."""
        values = self.given.parameters[key].tolist()
        if n < self.n:
            return values[n]
        return [0] * self.spec.threshold_count if key == "thresholds" else 0

    def code(self, total, parameters):
        if self.spec.requantize == "thresholds":
            return BrokenThresholds(self.spec, self.bug).code(total, parameters["thresholds"])
        bias = parameters.get("bias", 0)
        zero_point, most = parameters.get("y_zero_point", 0), parameters.get("y_max", 0)
        bias = {"bias missing": 0, "bias subtracted": -bias}.get(self.bug, bias)
        moved = {"zero point missing": 0, "zero point high": zero_point + 1, "zero point low": zero_point - 1}
        zero_point = moved.get(self.bug, zero_point)
        value = self.activated(self.rounded(total + bias, parameters), zero_point, most)
        code = self.clipped(value)
        return code if self.spec.table is None else self.entry(code)

    def rounded(self, biased, parameters):
        if self.spec.requantize == "float32":
            return broken_float32(biased, parameters["scale"], self.bug)
        shift, multiplier = parameters.get("shift", 0), parameters.get("multiplier", 1)
        top = 2 ** (self.spec.multiplier_bits - 1)
        shift = {"shift high": shift + 1, "shift low": max(shift - 1, 0), "shift missing": 0}.get(self.bug, shift)
        multiplier = {
            "multiplier top bit lost": multiplier % top,
            "multiplier signed": wrap(multiplier, self.spec.multiplier_bits, True),
        }.get(self.bug, multiplier)
        rounding = self.bug.removeprefix("rounds ") if self.bug.startswith("rounds ") else self.spec.rounding
        return round_quotient(biased * multiplier, shift, rounding)

    def activated(self, value, zero_point, most):
        """The rounded value after activation and zero point."""
        active = self.spec.activation != "none" and self.bug != "relu missing"
        six = self.spec.activation == "relu6" and self.bug not in ("relu missing", "upper bound missing")
        most += {"upper bound high": 1, "upper bound low": -1, "upper bound early": zero_point}.get(self.bug, 0)
        if active and self.bug not in ("relu at code 0", "lower bound missing"):
            value = max(value, 0)
        value += zero_point
        if active and self.bug == "relu at code 0":
            value = max(value, 0)
        return min(value, most) if six else value

    def entry(self, code):
        """The table's entry for a code; its index wraps."""
        first, _ = self.spec.code.code_range
        offset = {"entry above": 1, "entry below": -1, "sign not flipped": first}.get(self.bug, 0)
        if self.bug == "table missing":
            return wrap(code, self.spec.y.width, self.spec.y.signed)
        return self.spec.table[(code - first + offset) % len(self.spec.table)]

    def clipped(self, value):
        fmt = self.spec.code
        if fmt.name == "bipolar":
            return int(value > 0 if self.bug == "zero negative" else value >= 0)
        lo, hi = self.spec.clip_range
        lo += {"lower clip high": 1, "lower clip low": -1}.get(self.bug, 0)
        hi += {"upper clip high": 1, "upper clip low": -1}.get(self.bug, 0)
        if self.bug == "clip missing":
            lo, hi = fmt.code_range
        wraps = (self.spec.overflow == "wrap") != (self.bug == "other overflow")
        if wraps:
            value = wrap(value, fmt.width, fmt.signed)
            return clamp(value, lo, hi) if self.spec.clip else value
        return wrap(clamp(value, lo, hi), fmt.width, fmt.signed)
