"""What a Spec of the vector unit may be."""


def check_vector(spec):
    """Each channel of the vector unit has one sum at a time. Raises ValueError."""
    if spec.array == "vector" and spec.rows != 1:
        raise ValueError(f"rows must be 1 with array 'vector', not {spec.rows}")
