"""Helm and kubeconform, as the chart's tests use them."""

from tests.unit.chart.conftest import conforms, helm

__all__ = ["conforms", "helm"]
