"""What xbinn raises. Each message says what, where, what was given and what to do."""


class XbinnError(Exception):
    """Base class of all errors that xbinn raises on purpose."""


class InputError(XbinnError, ValueError):
    """Data that cannot be used: missing variables, wrong dimensions, impossible values."""


class UnitsError(InputError):
    """A unit that is missing, cannot be understood, or measures something else."""


class CoordinateError(InputError):
    """Coordinates or a CRS that cannot be used."""


class ProfileError(InputError):
    """SOC profiles that cannot be used."""


class ParameterError(InputError):
    """Biogeochemical parameters that are missing, unnamed or impossible."""


class ModelFileError(XbinnError, OSError):
    """A saved model that is damaged, not a model, or of a format this version cannot read."""


class TrainingError(XbinnError, RuntimeError):
    """Training that cannot go on."""


class DeviceError(XbinnError, RuntimeError):
    """A device that was asked for and is not there."""


class JobError(XbinnError, RuntimeError):
    """A tile job that cannot begin or go on; what it has stored stays."""
