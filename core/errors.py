"""Typed errors. Every message is a sentence that says what to do next."""

from __future__ import annotations


class CoreError(Exception):
    """Base class of every error that core raises on purpose."""


class InputError(CoreError, ValueError):
    """An argument (image, noise, eps, ...) has a wrong shape, range, dtype or value."""


class ConfigError(CoreError, ValueError):
    """A model or training configuration is not one that can be built."""


class ModelNotFoundError(CoreError, LookupError):
    """No shipped model has that name and no folder has that path."""


class CheckpointError(CoreError):
    """A checkpoint folder is incomplete, damaged, or does not match its configuration."""


class DataError(CoreError):
    """Images could not be found, read or downloaded."""


class ClaimError(CoreError):
    """A file is no certificate, was changed, or asks what cannot be computed."""


class UnsupportedModelError(CoreError, TypeError):
    """What is called is not, or may not be, the network whose layers are bounded."""


class UnsupportedLayerError(UnsupportedModelError):
    """A bound has no rule for this kind of layer."""


class UnsoundBoundError(CoreError, AssertionError):
    """A bound is beaten by an image of its own ball: a fault of ours, to be reported. Nothing is proved."""


class OutputError(CoreError, OSError):
    """Results could not be written where they were asked to go."""


class WorkerError(CoreError):
    """A process that computed for this one was killed."""


class Cancelled(CoreError):
    """A long computation was stopped by its progress callback."""
