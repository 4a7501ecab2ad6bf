"""What an ONNX model tells of the arrays that its products run on, beside the network itself."""

import json

FIELDS = ("activations", "weights", "array", "rows", "cols", "lanes", "depth", "requantize", "rounding", "platform")


def designs(products) -> dict[str, str]:
    """Of each product, as "layer.NAME", fields of its design as JSON."""
    return {
        f"layer.{layer.name}": json.dumps({one: _told(getattr(layer.spec, one)) for one in FIELDS})
        for layer in products
    }


def _told(value):
    return value if isinstance(value, str | int | None) else str(value)
