"""What is explained: the public door to `kerasviz.probe.targets`."""

from kerasviz.probe.targets import (
    Class,
    Function,
    Mask,
    Sum,
    Target,
    class_name,
    label_index,
    to_target,
)

__all__ = ["Class", "Function", "Mask", "Sum", "Target", "class_name", "label_index", "to_target"]
