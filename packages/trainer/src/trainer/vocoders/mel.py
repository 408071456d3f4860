"""corpuskit's mel in torch, so that a loss over it has a gradient."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from corpuskit.config import FeatureConfig
from corpuskit.features import mel_filterbank

__all__ = ["MelSpectrum"]

SMALLEST = 1e-12  # power; keeps the gradient of a magnitude finite where there is no sound


class MelSpectrum(nn.Module):
    """Samples (batch, n) -> natural-log mel (batch, bands, frames), as corpuskit.features makes it.

    Always in float32: magnitudes span more than half precision holds.
    """

    window: Tensor
    bank: Tensor

    def __init__(self, settings: FeatureConfig, rate: int, fmax: float | None = None) -> None:
        """Prepare for samples at `rate` Hz; `fmax` (Hz) replaces the settings' own."""
        super().__init__()
        if fmax is not None:
            settings = dataclasses.replace(settings, fmax=fmax)
        self._n_fft, self._hop = settings.n_fft, settings.hop_length
        self._floor = settings.mel_floor
        window = torch.hann_window(settings.win_length, periodic=True)
        margin = settings.n_fft - settings.win_length
        window = functional.pad(window, (margin // 2, margin - margin // 2))
        self.register_buffer("window", window, persistent=False)
        bank = torch.from_numpy(mel_filterbank(rate, settings).copy())
        self.register_buffer("bank", bank, persistent=False)

    def whole(self, samples: Tensor) -> Tensor:
        """Return the 1 + n // hop frames of whole recordings; frame k is centred on k * hop."""
        return self._frames(samples, self._n_fft // 2, self._n_fft // 2)

    def segment(self, samples: Tensor) -> Tensor:
        """Return the n // hop frames of segments that begin half a hop before a frame's centre.

        Frames at the edges hear the segment's own samples mirrored, not its neighbours.
        """
        margin = self._n_fft - self._hop
        return self._frames(samples, margin // 2, margin - margin // 2)

    def _frames(self, samples: Tensor, before: int, after: int) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):
            padded = functional.pad(samples.float()[:, None], (before, after), mode="reflect")[:, 0]
            spectrum = torch.stft(
                padded,
                self._n_fft,
                self._hop,
                window=self.window,
                center=False,
                return_complex=True,
            )
            power = torch.view_as_real(spectrum).square().sum(dim=-1)
            return torch.log((self.bank @ (power + SMALLEST).sqrt()).clamp(min=self._floor))
