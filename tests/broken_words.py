"""A slow scalable array in plain Python, word by word, with one fault to choose."""

BITS = ((8, 8), (8, 4), (4, 4), (2, 2))
PRODUCTS = (1, 2, 4, 16)


def broken_words(spec, given, modes, bug=""):
    """Sums [M][N]; `modes` of all tiles in the order of the streams, tile columns outside."""
    a, w = given.a.tolist(), given.w.T.tolist()
    tiles_m = -(-len(a) // spec.rows)
    return [
        [
            _output(spec, row, column, modes, n // spec.cols * tiles_m + m // spec.rows, bug)
            for n, column in enumerate(w)
        ]
        for m, row in enumerate(a)
    ]


def _output(spec, row, column, modes, tile, bug):
    mode = modes[tile]
    beats = list(zip(_beats(spec, row, mode, 0), _beats(spec, column, mode, 1), strict=True))
    total = 0
    for number, (a_beat, w_beat) in enumerate(beats):
        edge = bug.startswith("last beat") and number == len(beats) - 1
        edge = edge or bug.startswith("first beat") and number == 0
        times = {"missing": 0, "twice": 2}[bug.split()[-1]] if edge else 1
        a_beat = a_beat[::-1] if bug == "a lanes reversed" else a_beat
        w_beat = w_beat[::-1] if bug == "w lanes reversed" else w_beat
        taken = {
            "mode of previous": modes[max(tile - 1, 0)],
            "mode of next": modes[min(tile + 1, len(modes) - 1)],
        }.get(bug, int(bug[5:]) if bug[:5] == "mode " and bug[5:].isdigit() else mode)
        total += times * sum(_product(spec, x, y, taken, bug) for x, y in zip(a_beat, w_beat, strict=True))
    return total


def _beats(spec, codes, mode, side):
    """Words of each beat, lane by lane."""
    bits, count = BITS[mode][side], PRODUCTS[mode]
    whole = codes + [0] * (-len(codes) % (count * spec.lanes))
    words = [
        sum((code % 2**bits) * 2 ** (bits * place) for place, code in enumerate(whole[first : first + count]))
        for first in range(0, len(whole), count)
    ]
    return [words[first : first + spec.lanes] for first in range(0, len(words), spec.lanes)]


def _product(spec, a_word, w_word, mode, bug):
    a = _codes(a_word, mode, 0, spec.activations.signed and bug != "a unsigned")
    w = _codes(w_word, mode, 1, spec.weights.signed and bug != "w unsigned")
    a, w = _ordered(a, "a", bug), _ordered(w, "w", bug)
    pairs = list(zip(a, w, strict=True))
    return sum(x * y for x, y in (pairs[:1] if bug == "first only" else pairs))


def _ordered(codes, which, bug):
    if bug == f"{which} reversed":
        return codes[::-1]
    if bug == f"{which} swapped" and len(codes) > 1:
        return [code for first in range(0, len(codes), 2) for code in (codes[first + 1], codes[first])]
    return codes


def _codes(word, mode, side, signed):
    bits = BITS[mode][side]
    codes = [word >> bits * place & 2**bits - 1 for place in range(PRODUCTS[mode])]
    return [code - 2**bits if signed and code >= 2 ** (bits - 1) else code for code in codes]
