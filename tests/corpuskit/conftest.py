"""How property tests run here: no deadlines, because the machines that run them differ."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("corpuskit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("corpuskit")
