"""Parameters of the factorization, the twin of cpp/pympf/mmf/params.hpp."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Params"]


@dataclass(frozen=True)
class Params:
    """Names and defaults; the C++ field list says what each means and allows."""

    order: int = 2
    max_stages: int = 30
    rotation_fraction: float = 0.5
    eliminate: int = 1
    core_size: int = 100
    tolerance: float = 0.0
    prenormalize: bool = False
    criterion: str = "residual"
    selection: str = "best"
    retire: str = "auto"
    gram: str = "columns"
    hub_factor: float = 4.0
    clustering: str = "graph"
    clusters: int = 0
    min_cluster_size: int = 1
    max_cluster_size: int = 2000
    max_clustering_depth: int = 4
    max_clustering_iterations: int = 8
    bypass: bool = True
    seed: int = 0
    rows_per_rank: int = 2048
