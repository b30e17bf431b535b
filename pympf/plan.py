"""What `auto` decided, and by which predicted costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Offer", "Plan"]

UNKNOWN = math.inf


@dataclass(frozen=True)
class Offer:
    """One way to solve: what it is predicted to cost, in products with A.

    ``setup`` counts once, ``step`` for each of so many ``steps``; infinite: not known. ``note``
    says why it is not admissible.
    """

    method: str
    setup: float
    step: float
    steps: float
    note: str = ""

    @property
    def total(self) -> float:
        """The setup and one solve."""
        return self.setup + self.step * self.steps


@dataclass(frozen=True)
class Plan:
    """What was chosen before anything was built: data that can be printed, kept and given back.

    ``method`` and ``variant`` of the incomplete factor ('raised', 'lowered', 'finer', 'complete' or
    ''), ``precision`` of the cycle, ``strips``, ``krylov``, the ``reason``, all ``offers``,
    ``then``, what follows where it fails, and ``spent``: products with A, by the same predicted
    costs, on offers that were begun and left.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((100, 100))
    >>> plan = pympf.as_preconditioner(A).plan
    >>> [offer.method for offer in plan.offers]
    ['jacobi', 'ict', 'multilevel', 'direct']
    >>> again = pympf.Plan.from_json(plan.to_json())
    >>> again == plan
    True
    >>> pympf.solve(A, np.ones(10000), plan=again).converged
    True
    """

    method: str
    variant: str
    precision: str
    krylov: str
    strips: int
    reason: str
    offers: tuple[Offer, ...] = ()
    then: tuple[str, ...] = ()
    spent: float = 0.0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Plan:
        """Make it from plain data, as `as_dict` gives it.

        Not collective.

        Parameters
        ----------
        data : mapping

        Raises
        ------
        ValueError
            If a field is missing, unknown, or of another kind.
        """
        try:
            offers = tuple(
                Offer(**{**offer, **{k: _number(offer[k]) for k in ("setup", "step", "steps")}})
                for offer in data["offers"]
            )
            plan = cls(**{**data, "offers": offers, "then": tuple(data["then"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the data of a plan: {error}") from None
        texts = ("method", "variant", "precision", "krylov", "reason")
        for name in texts:
            if not isinstance(getattr(plan, name), str):
                raise ValueError(f"a plan: {name} = {getattr(plan, name)!r} is not a text")
        return plan

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote, or a report of the command line that has a plan.

        Not collective.

        Parameters
        ----------
        text : str

        Raises
        ------
        ValueError
            If it is no plan.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"expected the data of a plan, got a {type(data).__name__}")
        return cls.of(data.get("plan", data))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON: None for what is not known.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> plan = pympf.as_preconditioner(pympf.gallery.poisson((30, 30))).plan
        >>> plan.as_dict()["krylov"]
        'cg'
        """
        data = asdict(self)
        for offer in data["offers"]:
            for name in ("setup", "step", "steps"):
                offer[name] = None if math.isinf(offer[name]) else offer[name]
        return {**data, "offers": list(data["offers"]), "then": list(data["then"])}

    def to_json(self) -> str:
        """Write it as text.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> plan = pympf.as_preconditioner(pympf.gallery.poisson((30, 30))).plan
        >>> plan.to_json()[:10]
        '{"method":'
        """
        return json.dumps(self.as_dict())

    def params(self) -> dict[str, Any]:
        """Return the parameters of `pympf.as_preconditioner` that build it without choosing.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> A = pympf.gallery.poisson((30, 30))
        >>> plan = pympf.as_preconditioner(A).plan
        >>> pympf.as_preconditioner(A, **plan.params()).method == plan.method
        True
        """
        method = {"dense": "multilevel"}.get(self.method, self.method)
        out: dict[str, Any] = {"method": method, "precision": self.precision}
        if self.strips:
            out["strips"] = self.strips
        if method == "ict" and self.variant == "lowered":
            out["compensation"] = "lower"
        if self.variant == "finer":
            out |= {"drop_tolerance": 1e-3, "fill": 10}
        if self.variant == "complete":
            out |= {"drop_tolerance": 0.0, "fill": 2**31 - 1}
        return out

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("offer", "setup", "step", "steps", "total")]
        for offer in self.offers:
            costs = (offer.setup, offer.step, offer.steps, offer.total)
            cells = [_text(cost, digits) for cost, digits in zip(costs, (0, 1, 0, 0), strict=True)]
            rows.append((offer.method, *cells))
        lines = ["".join(f"{cell:>11}" for cell in row) for row in rows]
        lines.append("costs in products with A; -: not known")
        variant = f", {self.variant}" if self.variant else ""
        lines.append(f"taken: {self.method}{variant} ({self.krylov}): {self.reason}")
        if self.spent:
            lines.append(f"about {self.spent:.0f} products on what was begun before")
        if self.then:
            lines.append(f"where it fails: {', then '.join(self.then)}")
        return "\n".join(lines)


def _number(value: Any) -> float:
    return UNKNOWN if value is None else float(value)


def _text(value: float, digits: int) -> str:
    return "-" if math.isinf(value) or math.isnan(value) else f"{value:.{digits}f}"
