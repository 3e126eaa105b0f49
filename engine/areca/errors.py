"""Every error that areca raises on purpose.

A message says three things: the value seen, why it is wrong, and what to do. The
command turns `InputError` into one line and exit code 2, any other `ArecaError` into
exit code 1.
"""


class ArecaError(Exception):
    """Base of all errors raised by areca."""


class InputError(ArecaError, ValueError):
    """What the user gave cannot be used; nothing was read or written."""


class GridError(InputError):
    """Rasters, blocks or tables do not lie on a usable common grid or CRS."""


class CatalogError(InputError):
    """A catalogue, an item or an asset cannot be used."""


class AoiError(InputError):
    """The area of interest is unreadable, impossible or outside the imagery."""


class BandError(InputError):
    """A band that is wanted is not there."""


class ModelError(InputError):
    """A model card or its weights cannot be used."""


class RecipeError(InputError):
    """A recipe has an unknown key or a value that cannot be."""


class LabelError(InputError):
    """Labels cannot be used to train or to evaluate."""


class ReadError(ArecaError, OSError):
    """Pixels could not be read; the block that needs them has a hole."""


class PredictError(ArecaError, RuntimeError):
    """A model returned something that no object can be made of."""


class RunError(ArecaError, RuntimeError):
    """A regional run cannot go on; the same command resumes it."""


class DeviceMemoryError(PredictError):
    """A batch of tiles does not fit into the memory of the device."""


class DeviceLostError(PredictError):
    """The device answers no more; only a new process can use it again."""
